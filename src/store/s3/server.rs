//! What a server calls itself in the header `Server` of its answers. Decides nothing.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// The name in the first answer, once there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerName(Arc<OnceLock<String>>);

impl ServerName {
    /// As far as it is known.
    pub fn known(&self) -> &str {
        self.0.get().map(String::as_str).unwrap_or_default()
    }
}

#[dyn_dispatch_hint]
impl Intercept for ServerName {
    fn name(&self) -> &'static str {
        "ServerName"
    }

    fn read_before_deserialization(
        &self,
        exchange: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = exchange.response().headers();
        self.0
            .get_or_init(|| headers.get("server").unwrap_or_default().to_owned());
        Ok(())
    }
}
