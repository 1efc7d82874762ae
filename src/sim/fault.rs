//! Faults on demand: which request fails, and how. Knows no HTTP.

use std::time::Duration;

use super::request::{Operation, SimRequest};

/// How a request fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Answered with this status and error code; not applied.
    Status(u16, &'static str),
    /// The connection is closed without an answer; not applied.
    Reset,
    /// The connection is closed without an answer; applied.
    ResetAfter,
    /// The connection is closed after this many bytes of the answer's body; applied.
    CutBody(u64),
    /// The ETag in the answer, header or XML, is another; applied.
    WrongETag,
    /// Status 200 with an error as the body; not applied.
    ErrorIn200,
    /// Status 200 with an empty body, as some gateways answer part copies; not applied.
    EmptyCopyResult,
    /// Status 200, and then what the rules say of a part copy that breaks off; not applied.
    Breaks,
    /// Answered only after this time; applied.
    AnswerAfter(Duration),
    /// The connection is closed without an answer; applied after this time.
    Late(Duration),
    /// Never answered; not applied.
    Stall,
    /// Never answered; applied.
    StallAfter,
}

/// Which requests fail, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Only requests of this operation count; any when `None`.
    pub on: Option<Operation>,
    /// The first request that fails, counted from 1 over the matching requests from now on.
    pub nth: u64,
    /// How many matching requests fail from there on.
    pub times: u64,
    /// How they fail.
    pub how: How,
}

impl Fault {
    /// The nth request from now on, whatever it asks for, fails once.
    pub const fn nth(nth: u64, how: How) -> Self {
        Self {
            on: None,
            nth,
            times: 1,
            how,
        }
    }

    /// The next request of an operation fails once.
    pub const fn on(operation: Operation, how: How) -> Self {
        Self {
            on: Some(operation),
            nth: 1,
            times: 1,
            how,
        }
    }

    /// The same, that many times in a row.
    pub const fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }
}

/// The faults that wait for their request.
#[derive(Default, Debug)]
pub(super) struct Faults {
    armed: Vec<(Fault, u64)>,
}

impl Faults {
    pub(super) fn arm(&mut self, fault: Fault) {
        self.armed.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    /// Counts a request; the fault it meets, if any. The first armed wins.
    pub(super) fn meet(&mut self, request: &SimRequest) -> Option<How> {
        let mut met = None;
        for (fault, seen) in &mut self.armed {
            if fault
                .on
                .is_none_or(|operation| operation == request.operation)
            {
                *seen += 1;
                if (fault.nth..fault.nth.saturating_add(fault.times)).contains(seen) {
                    met = met.or(Some(fault.how));
                }
            }
        }
        self.armed
            .retain(|(fault, seen)| *seen + 1 < fault.nth.saturating_add(fault.times));
        met
    }
}
