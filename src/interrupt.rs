//! Work that ends early when the process that asked for it is to end: a token beside the task, and
//! the waits that look at it. Knows no caller and no store.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

tokio::task_local! {
    static TOKEN: CancellationToken;
}

/// The work was to end before it was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Does `work`, whose waits end when `token` is cancelled. Tasks that it spawns are not part of it.
pub async fn scope<T>(token: CancellationToken, work: impl Future<Output = T>) -> T {
    TOKEN.scope(token, work).await
}

/// Does `work` to its end, whatever becomes of the token outside.
pub async fn shield<T>(work: impl Future<Output = T>) -> T {
    TOKEN.scope(CancellationToken::new(), work).await
}

/// A token that is cancelled with the one of the work around, and may be cancelled alone.
pub fn child() -> CancellationToken {
    TOKEN
        .try_with(CancellationToken::child_token)
        .unwrap_or_default()
}

/// Whether the work around is to end.
pub fn is_interrupted() -> bool {
    TOKEN
        .try_with(CancellationToken::is_cancelled)
        .unwrap_or(false)
}

/// Waits for `work` unless the work around is to end, which drops it. Once that is so nothing is
/// begun any more.
///
/// # Errors
/// [`Interrupted`].
pub async fn or<T>(work: impl Future<Output = T>) -> Result<T, Interrupted> {
    match TOKEN.try_with(CancellationToken::clone) {
        Ok(token) => tokio::select! {
            biased;
            () = token.cancelled() => Err(Interrupted),
            done = work => Ok(done),
        },
        Err(_) => Ok(work.await),
    }
}

/// Tidies up after work that failed. Where it failed because it was interrupted nobody waits:
/// `work` goes on as a task of `runtime`.
pub async fn tidy_up(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
    if is_interrupted() {
        runtime.spawn(work);
    } else {
        work.await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_wait_ends_with_its_token_and_nothing_is_begun_after() {
        let token = CancellationToken::new();
        let work = scope(token.clone(), async {
            assert_eq!(or(ready(1)).await, Ok(1));
            let waited = or(pending::<()>()).await;
            (waited, or(ready(2)).await, shield(or(ready(3))).await)
        });
        let (waited, ()) = tokio::join!(work, async { token.cancel() });
        assert_eq!(waited, (Err(Interrupted), Err(Interrupted), Ok(3)));
    }

    #[tokio::test]
    async fn work_outside_of_a_scope_is_never_interrupted() {
        assert_eq!(or(ready(1)).await, Ok(1));
        assert!(!is_interrupted());
    }

    #[tokio::test]
    async fn a_child_ends_with_the_work_around_and_alone() {
        let token = CancellationToken::new();
        scope(token.clone(), async {
            let (one, other) = (child(), child());
            one.cancel();
            assert!(!is_interrupted() && !other.is_cancelled());
            token.cancel();
            assert!(is_interrupted() && other.is_cancelled());
        })
        .await;
    }
}
