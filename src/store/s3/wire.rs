//! What is put right between the client library and the wire: requests without a length, the
//! library's own parameter, keys of blanks only, timestamps, characters and blanks in answers that
//! its XML reader refuses. Knows no operation but GetObject, whose body is left alone.

use std::borrow::Cow;

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, HttpClient, Intercept, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::{BoxError, ConnectorError};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;

use crate::object::ObjectKey;

/// Headers every request of a kind gets before it is signed.
#[derive(Debug)]
pub(super) struct RequestRules {
    pub requester_pays: bool,
    /// What the store wants in place of `If-None-Match: *`.
    pub forbid_overwrite: Option<&'static str>,
}

#[dyn_dispatch_hint]
impl Intercept for RequestRules {
    fn name(&self) -> &'static str {
        "RequestRules"
    }

    fn modify_before_signing(
        &self,
        exchange: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = exchange.request_mut();
        if let Some(uri) = without_filler(request.uri()) {
            request.set_uri(uri)?;
        }
        if let Some(uri) = without_id(request.uri()) {
            request.set_uri(uri)?;
        }
        // The library sends copies and CreateMultipartUpload without a length; GCS, Swift, Ceph
        // and NetApp answer 411 then.
        let is_write = matches!(request.method(), "PUT" | "POST" | "DELETE");
        if is_write && request.body().content_length() == Some(0) {
            request.headers_mut().insert("content-length", "0");
        }
        if let Some(name) = self.forbid_overwrite
            && is_write
            && request.headers().get("if-none-match") == Some("*")
        {
            request.headers_mut().remove("if-none-match");
            request.headers_mut().insert(name, "true");
        }
        if self.requester_pays {
            request
                .headers_mut()
                .insert("x-amz-request-payer", "requester");
        }
        Ok(())
    }
}

/// What stands at the end of a key of blanks only until it is signed: a run of `-` of one more than
/// the 1,024 bytes that a key has at most.
const FILLER_BYTES: usize = 1025;

/// A key as the library takes it: one of blanks only is none to it.
pub(super) fn sendable(key: &ObjectKey) -> Cow<'_, str> {
    let key = key.as_str();
    if key.is_empty() || !key.trim().is_empty() {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("{key}{}", "-".repeat(FILLER_BYTES)))
}

/// The URI of a request without what [`sendable`] added to its key.
fn without_filler(uri: &str) -> Option<String> {
    let path = &uri[..uri.find('?').unwrap_or(uri.len())];
    let key_end = path.len().checked_sub(FILLER_BYTES)?;
    let filler = path.as_bytes()[key_end..].iter();
    (filler.copied().all(|byte| byte == b'-'))
        .then(|| format!("{}{}", &uri[..key_end], &uri[path.len()..]))
}

/// The URI of a request without the parameter by which the library names its operation: Google
/// Cloud Storage refuses what it does not know (rclone, backend/s3/provider/GCS.yaml, use_x_id).
fn without_id(uri: &str) -> Option<String> {
    let (path, query) = uri.split_once('?')?;
    let is_kept = |pair: &&str| !pair.starts_with("x-id=");
    let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
    let query = kept.join("&");
    Some(if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    })
}

/// An HTTP client whose answers the library's XML reader can read.
#[derive(Debug)]
pub(super) struct LenientClient(SharedHttpClient);

impl LenientClient {
    /// Wraps a client.
    pub fn new(client: SharedHttpClient) -> Self {
        Self(client)
    }
}

impl HttpClient for LenientClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connector = self.0.http_connector(settings, components);
        SharedHttpConnector::new(LenientConnector(connector))
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        settings: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.validate_base_client_config(components, settings)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

#[derive(Debug)]
struct LenientConnector(SharedHttpConnector);

impl HttpConnector for LenientConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // GetObject: it alone asks for a range.
        let is_streamed = request.headers().contains_key("range");
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            if is_streamed && answer.status().is_success() {
                Ok(answer)
            } else {
                lenient(answer).await
            }
        })
    }
}

async fn lenient(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = ByteStream::new(answer.take_body());
    let body = body
        .collect()
        .await
        .map_err(|error| ConnectorError::io(error.into()))?
        .into_bytes();
    let readable = match std::str::from_utf8(&body) {
        Ok(text) => match readable(text) {
            Cow::Borrowed(same) if same.len() == text.len() => None,
            other => Some(other.into_owned()),
        },
        Err(_) => None,
    };
    *answer.body_mut() = match readable {
        Some(text) => {
            // The library compares the two.
            answer
                .headers_mut()
                .insert("content-length", text.len().to_string());
            SdkBody::from(text)
        }
        None => SdkBody::from(body),
    };
    Ok(answer)
}

/// The same XML without blanks before the declaration and with time zones in its timestamps:
/// COS and OBS document timestamps without a zone, OSS with a trailing blank; the library then
/// takes a successful copy for a failed one.
fn readable(xml: &str) -> Cow<'_, str> {
    let xml = xml.trim_start();
    let mut fixed = Cow::Borrowed(xml);
    for (open, close) in [
        ("<LastModified>", "</LastModified>"),
        ("<Initiated>", "</Initiated>"),
    ] {
        if fixed.contains(open) {
            fixed = Cow::Owned(with_zones(&fixed, open, close));
        }
    }
    // Keys that no encoding was asked for, as in the answer to CreateMultipartUpload. Nobody reads
    // them.
    if fixed.contains(|character| !is_in_xml(character)) {
        let replaced = fixed.replace(|character| !is_in_xml(character), "\u{fffd}");
        fixed = Cow::Owned(replaced);
    }
    fixed
}

/// Whether XML 1.0 has a character ("Characters", section 2.2).
pub(super) const fn is_in_xml(character: char) -> bool {
    match character {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        other => other >= ' ',
    }
}

fn with_zones(xml: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(xml.len() + 64);
    let mut rest = xml;
    while let Some(at) = rest.find(open) {
        let (before, after) = rest.split_at(at + open.len());
        let Some(end) = after.find(close) else { break };
        let stamp = after[..end].trim();
        out.push_str(before);
        out.push_str(stamp);
        let is_bare = stamp.len() >= "2017-09-04T04:45:45".len()
            && stamp.ends_with(|last: char| last.is_ascii_digit())
            && !stamp[10..].contains(['+', '-']);
        if is_bare {
            out.push('Z');
        }
        rest = &after[end..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{FILLER_BYTES, readable, sendable, without_filler, without_id};
    use crate::object::ObjectKey;

    #[test]
    fn a_key_with_characters_that_xml_lacks_spoils_no_answer() {
        let sent = "<R><Key>a\u{1}\u{ffff}b</Key><UploadId>i</UploadId></R>";
        let read = "<R><Key>a\u{fffd}\u{fffd}b</Key><UploadId>i</UploadId></R>";
        assert_eq!(readable(sent), read);
    }

    #[test]
    fn the_library_s_own_parameter_is_taken_out_of_a_query() {
        for (uri, sent) in [
            ("http://h/b/k?x-id=GetObject", "http://h/b/k"),
            (
                "http://h/b/k?x-id=UploadPart&partNumber=1&uploadId=x-id%3D2",
                "http://h/b/k?partNumber=1&uploadId=x-id%3D2",
            ),
            ("http://h/b?list-type=2", "http://h/b?list-type=2"),
        ] {
            assert_eq!(without_id(uri).as_deref(), Some(sent));
        }
        assert_eq!(without_id("http://h/b/x-id=1"), None);
    }

    #[test]
    fn a_key_of_blanks_only_is_sent_as_it_is() {
        let sent = sendable(&ObjectKey::new(" \t"))
            .replace(' ', "%20")
            .replace('\t', "%09");
        assert_eq!(
            without_filler(&format!("http://h/b/{sent}?x-id=Get")).as_deref(),
            Some("http://h/b/%20%09?x-id=Get")
        );
        let longest = "-".repeat(FILLER_BYTES - 1);
        for key in ["", "a ", longest.as_str()] {
            let sent = sendable(&ObjectKey::new(key)).into_owned();
            assert_eq!(sent, key);
            assert_eq!(without_filler(&format!("http://h/b/{sent}")), None);
        }
    }

    #[test]
    fn a_timestamp_gets_the_zone_it_lacks_and_loses_its_blanks() {
        let stamped = |stamp| format!("<R><LastModified>{stamp}</LastModified><ETag>e</ETag></R>");
        for (sent, read) in [
            ("2017-09-04T04:45:45", "2017-09-04T04:45:45Z"),
            ("2017-09-04T04:45:45.123", "2017-09-04T04:45:45.123Z"),
            ("2011-04-09T07:01:56.000Z ", "2011-04-09T07:01:56.000Z"),
            ("2011-04-09T07:01:56+02:00", "2011-04-09T07:01:56+02:00"),
            ("2011-04-09T07:01:56.000Z", "2011-04-09T07:01:56.000Z"),
            ("", ""),
        ] {
            assert_eq!(readable(&stamped(sent)), stamped(read), "{sent:?}");
        }
    }

    #[test]
    fn blanks_before_the_declaration_go_and_an_unclosed_element_stays() {
        assert_eq!(
            readable(" \n<?xml version=\"1.0\"?><R/>"),
            "<?xml version=\"1.0\"?><R/>"
        );
        assert_eq!(readable("<R><LastModified>2017"), "<R><LastModified>2017");
    }
}
