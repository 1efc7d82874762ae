//! `s3fs probe`: tries on the live endpoint what a provider's rules claim, prints both side by
//! side, and says which options to mount with.

use std::fmt::Write as _;

use super::ProbeCommand;
use super::run::{Failure, USAGE, fail, runtime};
use crate::config::Provider;
use crate::mount::MountError;
use crate::store::dialect::Dialect;
use crate::store::probe::{Compared, Seen};
use crate::store::s3::S3Store;
use crate::telemetry::{self, Filter, Sink};

/// Runs to the end; returns the exit code.
pub(super) fn run(command: &ProbeCommand) -> u8 {
    let filter = match Filter::parse(&command.log_level) {
        Ok(filter) => filter,
        Err(error) => return fail(USAGE, &error),
    };
    telemetry::start(&filter, Sink::Stderr);
    match probe(command) {
        Ok(text) => {
            print!("{text}");
            0
        }
        Err(failure) => fail(failure.code, &failure),
    }
}

fn probe(command: &ProbeCommand) -> Result<String, Failure> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let bucket = &command.source.bucket;
        let store = S3Store::connect(&command.store).await;
        let store = store.map_err(MountError::Connect)?;
        store.check_name(bucket).map_err(MountError::Connect)?;
        let prefix = scratch(&command.source.prefix);
        println!("trying below s3://{bucket}/{prefix}");
        let seen = store.probe(bucket, &prefix).await;
        let seen = seen.map_err(MountError::Store)?;
        Ok(report(store.dialect(bucket), &seen))
    })
}

/// A prefix that nobody else uses.
fn scratch(prefix: &str) -> String {
    format!("{prefix}s3fs-probe-{:016x}/", fastrand::u64(..))
}

/// The table, what it means, and the options to mount with.
fn report(dialect: &Dialect, seen: &Seen) -> String {
    let lines = seen.compared(dialect);
    let mut text = table(dialect.name, &lines);
    let given = Provider::of_name(dialect.name).unwrap_or(Provider::Other);
    let suggested = seen.suggested(given);
    let contradicted = lines.iter().filter(|line| line.is_contradicted).count();
    let mut write = |line: String| text.push_str(&line);
    if contradicted > 0 {
        write(format!(
            "\n{contradicted} lines with `!`: provider={} trusts in more than was seen.\n",
            dialect.name
        ));
    }
    let mut options = format!("provider={}", suggested.name());
    if let Some(mib) = seen.suggested_part_mib(&Dialect::of(suggested)) {
        let _ = write!(options, ",multipart_size={mib}");
    }
    write(format!("\nmount with: -o {options}\n"));
    let missed = seen.contradicted(&Dialect::of(suggested)).join(", ");
    if !missed.is_empty() {
        write(format!(
            "but what it relies on there was not seen: {missed}\n"
        ));
    }
    text
}

fn table(name: &str, lines: &[Compared]) -> String {
    let wide = |cell: fn(&Compared) -> &str| lines.iter().map(|line| cell(line).len()).max();
    let rule = wide(|line| line.rule).unwrap_or(0);
    let claimed = wide(|line| &line.claimed).unwrap_or(0).max(name.len());
    let mut text = format!("\n  {:rule$}  {name:claimed$}  seen\n", "");
    for line in lines {
        let mark = if line.is_contradicted { '!' } else { ' ' };
        let _ = writeln!(
            text,
            "{mark} {:rule$}  {:claimed$}  {}",
            line.rule, line.claimed, line.seen
        );
    }
    text
}
