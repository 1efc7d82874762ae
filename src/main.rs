//! The command.

use std::process::ExitCode;

fn main() -> ExitCode {
    s3fs::cli::main()
}
