//! Which bucket a request names, by its host or by its path. Knows no object.

use std::sync::Arc;

use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

use super::state::State;

/// Bucket and key of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Address {
    /// May be empty.
    pub(super) bucket: String,
    /// Decoded; may be empty.
    pub(super) key: String,
    /// Whether the bucket is in the path though the host has a name of the service's.
    pub(super) is_path_style: bool,
}

impl Address {
    /// Of a request, whose URI may be whole, as a proxy is sent it.
    pub(super) fn new(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> Self {
        let host = headers.get(http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or("");
        let path = percent_decode_str(uri.path()).decode_utf8_lossy();
        let path = path.strip_prefix('/').unwrap_or(&path);
        let named = named(host, hosts);
        if let Some(Some(bucket)) = named {
            return Self {
                bucket: bucket.into(),
                key: path.into(),
                is_path_style: false,
            };
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        Self {
            bucket: bucket.into(),
            key: key.into(),
            is_path_style: named.is_some() && !bucket.is_empty(),
        }
    }
}

/// The bucket in a host name of the service, if it names one; `None` for a host that is not the
/// service's.
fn named<'a>(host: &'a str, hosts: &[String]) -> Option<Option<&'a str>> {
    let name = host.split(':').next().unwrap_or(host);
    hosts.iter().find_map(|end| {
        let rest = name.strip_suffix(end.as_str())?;
        match rest.strip_suffix('.') {
            None if rest.is_empty() => Some(None),
            None => None,
            Some(bucket) => Some(Some(bucket)),
        }
    })
}

/// The same for the protocol layer.
pub(super) struct Hosts(pub(super) Arc<State>);

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match named(host, &self.0.hosts) {
            Some(Some(bucket)) => virtual_host.with_bucket(bucket),
            _ => virtual_host,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_bucket_is_what_stands_before_a_name_of_the_service() {
        let hosts = ["oss-x.example".to_owned()];
        assert_eq!(
            named("photos.oss-x.example:80", &hosts),
            Some(Some("photos"))
        );
        assert_eq!(named("a.b.oss-x.example", &hosts), Some(Some("a.b")));
        assert_eq!(named("oss-x.example:80", &hosts), Some(None));
        assert_eq!(named("loss-x.example", &hosts), None);
        assert_eq!(named("127.0.0.1:80", &hosts), None);
    }
}
