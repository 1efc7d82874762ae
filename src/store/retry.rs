//! How long a request to a store may take, and how often and when it is sent again. Knows no
//! operation and no client library.

use std::time::Duration;

/// The bounds in time and number on one call of a bucket's method.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// From the last byte sent to the first byte of the answer.
    pub first_byte: Duration,
    /// Bytes a second a store copies at least: a copy may stay silent that much longer. 4 MiB/s
    /// gives a part of 1 GiB four minutes more.
    pub copy_bytes_per_s: u64,
    /// Without a byte moving, in either direction, once a body moves.
    pub stalled_body: Duration,
    /// For the whole call, all attempts included, beside what its bytes add.
    pub total: Duration,
    /// Bytes a second that move at least, in a body or in the store: each call may take that much
    /// longer.
    pub total_bytes_per_s: u64,
    /// Requests sent for one call at most.
    pub attempts_max: u32,
    /// Bound of the first pause between attempts; each next bound is twice the one before.
    pub backoff_first: Duration,
    /// Largest bound of a pause.
    pub backoff_max: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            copy_bytes_per_s: 4 << 20,
            stalled_body: Duration::from_secs(30),
            total: Duration::from_secs(300),
            total_bytes_per_s: 1 << 20,
            attempts_max: 8,
            backoff_first: Duration::from_millis(200),
            backoff_max: Duration::from_secs(20),
        }
    }
}

impl Timeouts {
    /// How long the answer to a request that makes the store copy `copied` bytes may take to
    /// begin.
    pub fn answer(&self, copied: u64) -> Duration {
        self.first_byte + Duration::from_secs(copied / self.copy_bytes_per_s)
    }

    /// How long a call that moves `bytes` may take with all its attempts.
    pub fn call(&self, bytes: u64) -> Duration {
        self.total + Duration::from_secs(bytes / self.total_bytes_per_s)
    }

    /// The pause after attempt `attempt` (1-based): anything up to a bound that doubles ("full
    /// jitter"), so that clients that failed together do not return together.
    pub fn pause(&self, attempt: u32) -> Duration {
        self.pause_max(attempt).mul_f64(fastrand::f64())
    }

    fn pause_max(&self, attempt: u32) -> Duration {
        let doubled = 1_u32
            .checked_shl(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.backoff_first
            .saturating_mul(doubled)
            .min(self.backoff_max)
    }
}

#[cfg(test)]
mod tests {
    use super::Timeouts;
    use std::time::Duration;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let timeouts = Timeouts {
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_millis(350),
            ..Timeouts::default()
        };
        let bounds = [1, 2, 3, 4, 40].map(|attempt| timeouts.pause_max(attempt).as_millis());
        assert_eq!(bounds, [100, 200, 350, 350, 350]);
        assert!(timeouts.pause(2) <= Duration::from_millis(200));
    }

    #[test]
    fn a_copy_may_stay_silent_longer_than_a_head() {
        let timeouts = Timeouts::default();
        assert_eq!(timeouts.answer(0), Duration::from_secs(60));
        assert_eq!(timeouts.answer(1 << 30), Duration::from_secs(60 + 256));
        assert_eq!(timeouts.call(1 << 30), Duration::from_secs(300 + 1024));
    }
}
