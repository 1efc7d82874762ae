//! Tests of a file against the simulated service.
