//! The pure modules and the oracles of their tests, compiled by themselves so that a fuzz target
//! builds in seconds. Knows no store.

pub use pure::{extent, limits, object, plan, range};

// The path of the block is where the modules in it, and theirs, are looked for.
#[path = "../../src"]
mod pure {
    pub mod extent;
    pub mod limits;
    pub mod object;
    pub mod plan;
    pub mod range;
}

#[path = "../../src/extent/tests/oracle.rs"]
pub mod map_oracle;
#[path = "../../src/plan/tests/oracle.rs"]
pub mod plan_oracle;
