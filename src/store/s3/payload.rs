//! The body of a request from several buffers, without joining them. Knows no operation.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::call::Progress;
use crate::store::Payload;

/// Bytes handed to the connection at a time: so much may stand still unseen by the watch on a
/// stalled body.
const FRAME_BYTES_MAX: usize = 256 << 10;

/// The payload as a body that can be sent again and has an exact length. It is not signed
/// (UNSIGNED-PAYLOAD): signing would read every byte once more on the client.
pub(super) fn body(payload: &Payload, progress: Progress) -> ByteStream {
    if payload.is_empty() {
        return ByteStream::from_static(b"");
    }
    let payload = payload.clone();
    ByteStream::new(SdkBody::retryable(move || {
        SdkBody::from_body_1_x(Frames {
            rest: payload.buffers().iter().cloned().collect(),
            left: payload.len(),
            progress: progress.clone(),
        })
    }))
}

struct Frames {
    rest: VecDeque<Bytes>,
    left: u64,
    progress: Progress,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(mut frame) = self.rest.pop_front() else {
            return Poll::Ready(None);
        };
        if frame.len() > FRAME_BYTES_MAX {
            let rest = frame.split_off(FRAME_BYTES_MAX);
            self.rest.push_front(rest);
        }
        self.left -= frame.len() as u64;
        if self.left == 0 {
            self.progress.sent();
        } else {
            self.progress.moved();
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
