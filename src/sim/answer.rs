//! What a provider writes otherwise into an answer: times, refusals, copies that broke off. Knows
//! no object.

use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use s3s::Body;

use super::request::Operation;
use super::rules::{Broken, Refusal, Rules, Stamps};

const XML: HeaderValue = HeaderValue::from_static("application/xml");
const PARTS_ROOT: &str = "ListPartsResult";
const STAMP: (&str, &str) = ("<LastModified>", "</LastModified>");

/// The answer that refuses a request.
pub(super) fn refused(refusal: Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::BAD_REQUEST);
    error(status, refusal.code)
}

/// An error of that code.
pub(super) fn error(status: StatusCode, code: &str) -> Response<Body> {
    let mut response = xml(format!(
        "<Error><Code>{code}</Code><Message>Refused</Message><RequestId>0</RequestId></Error>"
    ));
    *response.status_mut() = status;
    response
}

/// What a part copy answers that broke off after 200 was sent.
pub(super) fn broken(broken: Broken) -> Response<Body> {
    match broken {
        Broken::Error => error(StatusCode::OK, "InternalError"),
        Broken::NoETag => xml(
            "<CopyPartResult><LastModified>2009-10-28T22:32:00Z</LastModified></CopyPartResult>"
                .into(),
        ),
    }
}

/// A document.
pub(super) fn xml(body: String) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, XML);
    response
}

/// Writes an answer as the provider does.
pub(super) async fn spelled(
    response: Response<Body>,
    operation: Operation,
    rules: &Rules,
) -> Result<Response<Body>, s3s::StdError> {
    let (stamps, root) = (rules.answers.stamps, rules.answers.parts_root);
    let spell: &(dyn Fn(&str) -> String + Sync) = match operation {
        Operation::CopyObject | Operation::UploadPartCopy if stamps != Stamps::Zoned => {
            &|text| restamped(text, stamps)
        }
        Operation::ListParts if root != PARTS_ROOT => &|text| text.replace(PARTS_ROOT, root),
        Operation::CompleteMultipartUpload if !rules.uploads.etag_told => &untold,
        _ => return Ok(response),
    };
    let (mut head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    head.headers.remove(http::header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(spell(&text))))
}

/// An answer with an empty ETag.
fn untold(text: &str) -> String {
    match (text.find("<ETag>"), text.find("</ETag>")) {
        (Some(start), Some(end)) => format!("{}{}", &text[..start + "<ETag>".len()], &text[end..]),
        _ => text.to_owned(),
    }
}

fn restamped(text: &str, stamps: Stamps) -> String {
    let Some((before, rest)) = text.split_once(STAMP.0) else {
        return text.to_owned();
    };
    let Some((stamp, after)) = rest.split_once(STAMP.1) else {
        return text.to_owned();
    };
    let stamp = match stamps {
        Stamps::Zoned => stamp.to_owned(),
        Stamps::Unzoned => stamp.trim_end_matches('Z').to_owned(),
        Stamps::Trailed => format!("{stamp} "),
    };
    format!("{before}{}{stamp}{}{after}", STAMP.0, STAMP.1)
}

#[cfg(test)]
mod tests {
    use super::restamped;
    use crate::sim::rules::Stamps;

    #[test]
    fn a_time_loses_its_zone_or_gets_a_blank() {
        let sent = "<R><LastModified>2014-07-17T06:27:54.000Z</LastModified></R>";
        let stamped = |stamp| format!("<R><LastModified>{stamp}</LastModified></R>");
        assert_eq!(restamped(sent, Stamps::Zoned), sent);
        assert_eq!(
            restamped(sent, Stamps::Unzoned),
            stamped("2014-07-17T06:27:54.000")
        );
        assert_eq!(
            restamped(sent, Stamps::Trailed),
            stamped("2014-07-17T06:27:54.000Z ")
        );
        assert_eq!(restamped("<R/>", Stamps::Unzoned), "<R/>");
    }
}
