//! The wire: connections, and what happens to a request before and after the protocol layer sees
//! it: log, counters, delay, bandwidth, faults. Knows no object.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use md5::{Digest, Md5};
use s3s::auth::{S3Auth, SecretKey};
use s3s::crypto::{Checksum as _, Crc32};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Result, s3_error};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::answer;
use super::fault::How;
use super::gate::{self, Head};
use super::host::{Address, Hosts};
use super::request::{Operation, SimRequest};
use super::service::Service;
use super::session;
use super::state::{State, Way};

type StdError = Box<dyn std::error::Error + Send + Sync>;

/// What the server needs to send what it has before a body fails: it would drop it otherwise.
const FLUSH_TIME: Duration = Duration::from_millis(5);

/// Why a request is not answered.
#[derive(Debug, thiserror::Error)]
enum Dropped {
    #[error("the connection is closed on purpose")]
    OnPurpose,
    #[error("the request could not be served: {0}")]
    Broken(StdError),
}

/// Knows the service's one access key.
struct OneKey(Arc<State>);

#[async_trait::async_trait]
impl S3Auth for OneKey {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let (id, secret) = &self.0.access_key;
        if access_key == id {
            Ok(SecretKey::from(secret.as_str()))
        } else {
            Err(s3_error!(InvalidAccessKeyId))
        }
    }
}

/// Serves every connection of `listener` until dropped.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut builder = S3ServiceBuilder::new(Service(Arc::clone(&state)));
    builder.set_auth(OneKey(Arc::clone(&state)));
    builder.set_host(Hosts(Arc::clone(&state)));
    builder.set_access(session::Access);
    let protocol = builder.build();
    loop {
        // A failed accept concerns one connection, or passes when files are closed.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        tokio::spawn(connection(stream, protocol.clone(), Arc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, protocol: S3Service, state: Arc<State>) {
    // Without it the last piece of a body waits for the client's delayed acknowledgement, 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| answer(request, &protocol, &state));
    // An error ends the connection, which is all there is to do.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    protocol: &S3Service,
    state: &Arc<State>,
) -> Result<Response<Metered>, Dropped> {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let address = Address::new(uri, headers, &state.hosts);
    let asked = SimRequest::new(method, uri, headers, &address);
    let number = state.ledger().arrive(&asked);
    if let Some(hook) = state.hook() {
        hook(state, &asked);
    }
    let delay = state.pace().delay;
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let head = Head {
        method,
        uri,
        headers,
        address: &address,
        asked: &asked,
    };
    let refusal = gate::refusal(state, &head);
    let fault = state.faults().meet(&asked);
    let uploads = matches!(
        asked.operation,
        Operation::PutObject | Operation::UploadPart
    );
    let request = request.map(|body| {
        let body = Metered::new(Body::from(body), state, asked.operation);
        if uploads { body.way(Way::Up) } else { body }
    });
    let response = match refusal {
        Some(refusal) => {
            let drained = drain(request.into_body()).await;
            drained.map(|()| answer::refused(refusal))
        }
        None => faulty(request, &asked, protocol, fault).await,
    };
    state.ledger().leave(asked.operation);
    let mut response = response?;
    if let Some(server) = state.rules.answers.server {
        let name = HeaderValue::from_static(server);
        response.headers_mut().insert(http::header::SERVER, name);
    }
    state.ledger().answer(number, response.status().as_u16());
    Ok(response.map(|body| {
        let body = Metered::new(body, state, asked.operation);
        let body = if asked.operation == Operation::GetObject {
            body.way(Way::Down)
        } else {
            body
        };
        match fault {
            Some(How::CutBody(bytes)) => body.cut(bytes),
            _ => body,
        }
    }))
}

async fn faulty(
    request: Request<Metered>,
    asked: &SimRequest,
    protocol: &S3Service,
    fault: Option<How>,
) -> Result<Response<Body>, Dropped> {
    match fault {
        Some(How::Status(status, code)) => {
            drain(request.into_body()).await?;
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            Ok(answer::error(status, code))
        }
        Some(How::ErrorIn200) => {
            drain(request.into_body()).await?;
            Ok(answer::error(StatusCode::OK, "InternalError"))
        }
        Some(How::Breaks) => {
            let broken = request.body().state.rules.answers.broken;
            drain(request.into_body()).await?;
            Ok(answer::broken(broken))
        }
        Some(How::EmptyCopyResult) => {
            drain(request.into_body()).await?;
            Ok(Response::new(Body::empty()))
        }
        Some(How::Reset) => Err(Dropped::OnPurpose),
        Some(How::AnswerAfter(time)) => {
            let answer = apply(request, asked, protocol).await;
            tokio::time::sleep(time).await;
            answer
        }
        Some(How::Late(time)) => {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(Dropped::Broken)?.to_bytes();
            let request = Request::from_parts(head, Body::from(body));
            let protocol = protocol.clone();
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                protocol.call(request).await
            });
            Err(Dropped::OnPurpose)
        }
        Some(How::Stall) => std::future::pending().await,
        Some(How::StallAfter) => {
            apply(request, asked, protocol).await?;
            std::future::pending().await
        }
        Some(How::ResetAfter) => {
            apply(request, asked, protocol).await?;
            Err(Dropped::OnPurpose)
        }
        Some(How::WrongETag) => wrong_etag(apply(request, asked, protocol).await?).await,
        Some(How::CutBody(_)) | None => apply(request, asked, protocol).await,
    }
}

async fn apply(
    request: Request<Metered>,
    asked: &SimRequest,
    protocol: &S3Service,
) -> Result<Response<Body>, Dropped> {
    let state = Arc::clone(&request.body().state);
    let has_sessions = gate::has_sessions(&state, &asked.bucket);
    if has_sessions && asked.operation == Operation::CreateSession {
        drain(request.into_body()).await?;
        return Ok(state.sessions.create(&asked.bucket));
    }
    let is_digested = matches!(
        asked.operation,
        Operation::DeleteObjects | Operation::PutObjectTagging
    );
    let request = if is_digested {
        let deletes = asked.operation == Operation::DeleteObjects;
        let wants_md5 = deletes && state.rules.writes.delete_wants_md5;
        match checked(request, wants_md5).await? {
            Ok(request) => request,
            Err(code) => return Ok(answer::error(StatusCode::BAD_REQUEST, code)),
        }
    } else {
        request.map(Body::http_body_unsync)
    };
    let request = match has_sessions {
        true => session::vouched(request),
        false => request,
    };
    let response = protocol.call(request).await;
    let response = response.map_err(|error| Dropped::Broken(error.into()))?;
    let spelled = answer::spelled(response, asked.operation, &state.rules).await;
    spelled.map_err(Dropped::Broken)
}

/// The digest of a request whose body is XML, which the protocol layer does not look at: AWS wants
/// Content-MD5 or a checksum.
async fn checked(
    request: Request<Metered>,
    wants_md5: bool,
) -> Result<Result<Request<Body>, &'static str>, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(Dropped::Broken)?.to_bytes();
    let sent = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    let md5 = (sent("content-md5"), STANDARD.encode(Md5::digest(&body)));
    let crc32 = (
        sent("x-amz-checksum-crc32"),
        STANDARD.encode(Crc32::checksum(&body)),
    );
    let digests = [md5, crc32];
    let wrong = |(sent, digest): &(Option<&[u8]>, String)| {
        sent.is_some_and(|sent| sent != digest.as_bytes())
    };
    if digests.iter().any(wrong) {
        return Ok(Err("BadDigest"));
    }
    if wants_md5 && digests[0].0.is_none() {
        return Ok(Err("MissingContentMD5"));
    }
    if digests.iter().all(|(sent, _)| sent.is_none()) {
        return Ok(Err("InvalidRequest"));
    }
    Ok(Ok(Request::from_parts(head, Body::from(body))))
}

async fn drain(mut body: Metered) -> Result<(), Dropped> {
    while let Some(frame) = body.frame().await {
        frame.map_err(Dropped::Broken)?;
    }
    Ok(())
}

/// Puts another ETag in the place of the true one, in the header and in the XML.
async fn wrong_etag(response: Response<Body>) -> Result<Response<Body>, Dropped> {
    const WRONG: &str = "\"0123456789abcdef0123456789abcdef\"";
    let (mut head, body) = response.into_parts();
    if head.headers.contains_key(http::header::ETAG) {
        head.headers
            .insert(http::header::ETAG, HeaderValue::from_static(WRONG));
        return Ok(Response::from_parts(head, body));
    }
    let body = body.collect().await.map_err(Dropped::Broken)?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    let replaced = match (text.find("<ETag>"), text.find("</ETag>")) {
        (Some(start), Some(end)) => {
            format!("{}{WRONG}{}", &text[..start + "<ETag>".len()], &text[end..])
        }
        _ => text.into_owned(),
    };
    head.headers.remove(http::header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(replaced)))
}

/// A body that is counted, slowed down and, where asked for, cut short.
struct Metered {
    body: Body,
    state: Arc<State>,
    operation: Operation,
    /// `None` for a body that is not an object's bytes.
    way: Option<Way>,
    left: Option<u64>,
    flushed: bool,
    wait: Option<Pin<Box<Sleep>>>,
    held: Option<Frame<Bytes>>,
}

impl Metered {
    fn new(body: Body, state: &Arc<State>, operation: Operation) -> Self {
        let state = Arc::clone(state);
        let (way, left, wait, held) = (None, None, None, None);
        Self {
            body,
            state,
            operation,
            way,
            left,
            flushed: false,
            wait,
            held,
        }
    }

    fn way(self, way: Way) -> Self {
        Self {
            way: Some(way),
            ..self
        }
    }

    fn cut(self, bytes: u64) -> Self {
        Self {
            left: Some(bytes),
            ..self
        }
    }

    /// Cuts the frame to what may still be sent.
    fn limit(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let (Some(left), Some(bytes)) = (self.left, frame.data_ref()) else {
            return frame;
        };
        let kept = bytes.slice(..bytes.len().min(left as usize));
        self.left = Some(left - kept.len() as u64);
        Frame::data(kept)
    }

    /// Counts the frame and books its time on the wire.
    fn meter(&mut self, frame: &Frame<Bytes>) {
        let (Some(way), Some(bytes)) = (self.way, frame.data_ref()) else {
            return;
        };
        let bytes = bytes.len() as u64;
        match way {
            Way::Up => self.state.ledger().up(self.operation, bytes),
            Way::Down => self.state.ledger().down(self.operation, bytes),
        }
        let end = self.state.book(way, bytes);
        self.wait = end.map(|end| Box::pin(tokio::time::sleep_until(end)));
    }
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let this = self.get_mut();
        loop {
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(cx));
                this.wait = None;
            }
            if let Some(held) = this.held.take() {
                return Poll::Ready(Some(Ok(held)));
            }
            if this.left == Some(0) {
                if this.flushed {
                    return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::Other).into())));
                }
                this.flushed = true;
                this.wait = Some(Box::pin(tokio::time::sleep(FLUSH_TIME)));
                continue;
            }
            let Some(frame) = ready!(Pin::new(&mut this.body).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            match frame {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(frame) => {
                    let frame = this.limit(frame);
                    this.meter(&frame);
                    this.held = Some(frame);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_none() && self.left.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self
            .held
            .as_ref()
            .and_then(|frame| frame.data_ref())
            .map_or(0, Bytes::len);
        match self.body.size_hint().exact() {
            Some(rest) => SizeHint::with_exact(rest + held as u64),
            None => SizeHint::default(),
        }
    }
}
