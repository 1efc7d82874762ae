//! A lock on state that is whole whenever it is free: a panic while it is held leaves the state in
//! between, so it ends the process. The next process restores what was recorded. Knows no state.

use std::ops::{Deref, DerefMut};
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// State behind a lock. A panic elsewhere fails one request; a panic while this is locked ends the
/// process, after a line in the log.
#[derive(Debug, Default)]
pub struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    /// The state, not locked.
    pub const fn new(state: T) -> Self {
        Self(Mutex::new(state))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> Locked<'_, T> {
        // Nothing is ever poisoned: the process has ended before.
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Locked {
            state,
            was_panicking: thread::panicking(),
        }
    }
}

/// State that is locked until this is dropped.
#[derive(Debug)]
pub struct Locked<'a, T> {
    state: MutexGuard<'a, T>,
    /// Locked by what unwinds already: that panic has not touched the state.
    was_panicking: bool,
}

impl<T> Locked<'_, T> {
    /// Whether a panic left the state in between: nothing of it may be recorded.
    pub fn is_broken(&self) -> bool {
        thread::panicking() && !self.was_panicking
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.state
    }
}

impl<T> Drop for Locked<'_, T> {
    fn drop(&mut self) {
        if self.is_broken() {
            log::error!(
                "a panic has left {} in between; this process ends, and what it recorded is \
                 restored by the next one, if it has a supervisor; please report the panic",
                std::any::type_name::<T>()
            );
            log::logger().flush();
            process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use super::Guarded;

    /// In the environment of a process of tests that is to panic.
    const PANICS: &str = "S3FS_TEST_PANICS";

    /// Runs the test of this name alone in a process of its own, where it panics; the signal that
    /// the process ended by.
    fn signal_of(test: &str) -> Option<i32> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", &format!("lock::tests::{test}")]);
        command.env(PANICS, "").stdout(Stdio::null());
        command.stderr(Stdio::null()).status().unwrap().signal()
    }

    #[test]
    fn a_panic_while_the_state_is_locked_ends_the_process() {
        if std::env::var_os(PANICS).is_none() {
            let signal = signal_of("a_panic_while_the_state_is_locked_ends_the_process");
            assert_eq!(signal, Some(nix::libc::SIGABRT));
            return;
        }
        let state = Guarded::new(0);
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _locked = state.lock();
            panic!("as a defect does");
        }));
    }

    #[test]
    fn a_panic_elsewhere_leaves_the_state_usable_for_what_it_unwinds_and_for_others() {
        struct Last(Arc<Guarded<u32>>);
        impl Drop for Last {
            fn drop(&mut self) {
                *self.0.lock() += 1;
            }
        }
        let state = Arc::new(Guarded::new(0));
        let last = Last(Arc::clone(&state));
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _last = last;
            panic!("as a defect does");
        }));
        assert!(panicked.is_err());
        assert_eq!(*state.lock(), 1);
    }
}
