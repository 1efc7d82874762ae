//! The log: to stderr in front, to journald or syslog behind. Knows no option and no request but
//! the number of the one being worked on.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

use crate::fuse::request;

/// Where log lines go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sink {
    /// This process's stderr.
    Stderr,
    /// journald when its socket exists, else syslog, else nowhere: a daemon has no other place.
    System,
}

/// A filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "log filter \"{filter}\": {reason}; give a level (error, warn, info, debug, trace) or a list \
     like info,s3fs::store=debug"
)]
pub struct FilterError {
    filter: String,
    reason: String,
}

/// Which lines are logged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(String);

impl Filter {
    /// Understands a level or a list of `module=level`. A bare level is that of this program; its
    /// libraries, which speak of every connection and frame, stay at warnings.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let directives = match text.parse::<LevelFilter>() {
            Ok(LevelFilter::Off) => "off".to_owned(),
            Ok(level) => format!("warn,s3fs={level}"),
            Err(_) => text.to_owned(),
        };
        match env_filter::Builder::new().try_parse(&directives) {
            Ok(_) => Ok(Self(directives)),
            Err(error) => Err(FilterError {
                filter: text.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// Starts logging. Only the first call counts: a process has one log.
pub fn start(filter: &Filter, sink: Sink) {
    let filter = env_filter::Builder::new().parse(&filter.0).build();
    let sink = match sink {
        Sink::Stderr => stderr_log(),
        Sink::System => system_log(),
    };
    let level_max = filter.filter();
    if log::set_boxed_logger(Box::new(Logger { filter, sink })).is_ok() {
        log::set_max_level(level_max);
    }
}

fn stderr_log() -> Box<dyn Log> {
    let logger = env_logger::Builder::new()
        .filter_level(LevelFilter::Trace)
        .format(|out, record| {
            let level = record.level();
            let style = out.default_level_style(level);
            writeln!(
                out,
                "{} {style}{level:5}{style:#} {}",
                out.timestamp_millis(),
                record.args()
            )
        })
        .build();
    Box::new(logger)
}

fn system_log() -> Box<dyn Log> {
    if let Ok(journal) = systemd_journal_logger::JournalLog::empty() {
        return Box::new(journal.with_syslog_identifier("s3fs".to_owned()));
    }
    let formatter = syslog::Formatter3164 {
        facility: syslog::Facility::LOG_DAEMON,
        hostname: None,
        process: "s3fs".to_owned(),
        pid: std::process::id(),
    };
    match syslog::unix(formatter) {
        Ok(logger) => Box::new(syslog::BasicLogger::new(logger)),
        Err(_) => Box::new(Nowhere),
    }
}

/// A machine without a log.
struct Nowhere;

impl Log for Nowhere {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }
    fn log(&self, _: &Record<'_>) {}
    fn flush(&self) {}
}

/// Filters, puts the request's number in front, and passes on.
struct Logger {
    filter: env_filter::Filter,
    sink: Box<dyn Log>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.filter.matches(record) {
            return;
        }
        let text = match request::current() {
            None => record.args().to_string(),
            Some(id) => format!("req={id} {}", record.args()),
        };
        self.sink.log(
            &Record::builder()
                .metadata(record.metadata().clone())
                .module_path(record.module_path())
                .file(record.file())
                .line(record.line())
                .args(format_args!("{}", in_a_line(&text)))
                .build(),
        );
    }

    fn flush(&self) {
        self.sink.flush();
    }
}

/// Control characters escaped: a name may hold a newline, and must not pass for a line of the log.
fn in_a_line(text: &str) -> String {
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::{Filter, in_a_line};

    #[test]
    fn a_name_with_a_newline_makes_no_line_of_its_own() {
        assert_eq!(
            in_a_line("a\nERROR b\u{1b}\u{e9}"),
            "a\\nERROR b\\u{1b}\u{e9}"
        );
    }

    #[test]
    fn a_bare_level_leaves_the_libraries_at_warnings() {
        assert_eq!(Filter::parse("debug").unwrap().0, "warn,s3fs=DEBUG");
        assert_eq!(Filter::parse("off").unwrap().0, "off");
    }

    #[test]
    fn a_list_is_taken_as_it_is_and_nonsense_is_refused() {
        assert_eq!(
            Filter::parse("info,s3fs::store=trace").unwrap().0,
            "info,s3fs::store=trace"
        );
        let refused = Filter::parse("s3fs=loud").unwrap_err().to_string();
        assert!(
            refused.contains("s3fs=loud") && refused.contains("error, warn, info"),
            "{refused}"
        );
    }
}
