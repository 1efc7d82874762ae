//! Runs a plan: makes an object version of an extent map, or fails and leaves no upload behind.
//! Knows no file state.
