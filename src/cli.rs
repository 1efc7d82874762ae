//! Arguments, `-o` options and going to the background; the only reader of the environment.
