//! Log, metrics, status.
