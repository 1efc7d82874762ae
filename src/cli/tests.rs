//! What packages ship of the command line, manual pages and completions, is what it says. Knows
//! the pages' frames in packaging/man, and which places of theirs are made here.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_complete::{Generator, Shell, generate};
use clap_mangen::Man;

use super::called::{TypedByMount, TypedByUmount};
use super::run::{NOT_COMMITTED, NOT_MOUNTED, SYSTEM, USAGE};
use super::typed::Typed;
use super::words::{Meaning, SECTIONS, Word};

#[test]
fn the_manual_page_of_the_program_says_what_its_arguments_are() {
    let demo = Typed::command()
        .find_subcommand("demo")
        .expect("built with `sim`")
        .clone();
    let options = Typed::command().mut_args(|arg| {
        let is_in_the_frame = ["words", "operands"].contains(&arg.get_id().as_str());
        if is_in_the_frame { arg.hide(true) } else { arg }
    });
    let parts = [
        ("@options@", options_of(options)),
        ("@demo@", options_of(by_others(demo))),
        ("@status@", statuses()),
    ];
    is_as_made("packaging/man/s3fs.1", &page("s3fs.1.in", &parts));
}

#[test]
fn the_manual_page_for_mount_says_what_it_is_called_with_and_the_words() {
    let unit = fs::read_to_string(root().join("packaging/systemd/mnt-s3.mount")).unwrap();
    let parts = [
        ("@mount@", options_of(by_others(TypedByMount::command()))),
        ("@umount@", options_of(by_others(TypedByUmount::command()))),
        ("@words@", words()),
        ("@status@", statuses()),
        ("@unit@", literal(&unit)),
    ];
    let page = page("mount.s3fs.8.in", &parts);
    is_as_made("packaging/man/mount.s3fs.8", &page);
}

#[test]
fn the_completions_are_those_of_the_arguments() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut made = Vec::new();
        generate(shell, &mut Typed::command(), "s3fs", &mut made);
        let name = format!("packaging/completions/{}", shell.file_name("s3fs"));
        is_as_made(&name, &String::from_utf8(made).unwrap());
    }
}

/// A command that people do not call, so that they need not be told of its help.
fn by_others(command: Command) -> Command {
    command.disable_help_flag(true).disable_version_flag(true)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// That a file of the project has this content; else the content is left in the build directory.
#[track_caller]
fn is_as_made(name: &str, made: &str) {
    let path = root().join(name);
    let made = made.lines().map(str::trim_end).collect::<Vec<_>>();
    let made = made.join("\n").trim_end().to_owned() + "\n";
    if fs::read_to_string(&path).unwrap_or_default() != made {
        let new = root().join("target").join(path.file_name().unwrap());
        fs::write(&new, made).expect("the build directory can be written to");
        panic!(
            "{name} is not what the command line says; copy {} to it",
            new.display()
        );
    }
}

/// A page of this frame, with these parts in their places.
fn page(frame: &str, parts: &[(&str, String)]) -> String {
    let path = root().join("packaging/man").join(frame);
    let mut text = fs::read_to_string(path).unwrap();
    for (place, part) in parts {
        assert!(text.contains(place), "{frame} has no {place}");
        text = text.replace(&format!("{place}\n"), part);
    }
    text.replace("@version@", env!("CARGO_PKG_VERSION"))
}

/// What clap tells of a command's options, as parts of a section.
fn options_of(mut command: Command) -> String {
    command.build();
    let mut made = Vec::new();
    Man::new(command.mut_args(with_values))
        .render_options_section(&mut made)
        .unwrap();
    let mut text = String::new();
    for line in String::from_utf8(made).unwrap().lines() {
        let is_preamble = line.starts_with(".ie ") || line.starts_with(".el ");
        match line.strip_prefix(".SH ") {
            Some("OPTIONS") => {}
            Some(heading) => writeln!(text, ".SS {}", capitalised(heading)).unwrap(),
            None if is_preamble => {}
            // What the preamble defines.
            None => writeln!(text, "{}", line.replace("\\*(Aq", "\\(aq")).unwrap(),
        }
    }
    text
}

/// An argument whose values, where they have nothing said of them, are told in its own text.
fn with_values(arg: Arg) -> Arg {
    let values = arg.get_possible_values();
    if values.is_empty() || values.iter().any(|value| value.get_help().is_some()) {
        return arg;
    }
    let names: Vec<&str> = values.iter().map(|value| value.get_name()).collect();
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help}. One of {}", names.join(", ")))
        .hide_possible_values(true)
}

fn capitalised(heading: &str) -> String {
    let (first, rest) = heading.split_at(1);
    first.to_owned() + &rest.to_lowercase()
}

fn statuses() -> String {
    let failed = "no mount was made, changed or ended, and a message says why";
    let mut text = String::new();
    for (code, meaning) in [
        (0, "success"),
        (USAGE, "the arguments make no sense"),
        (SYSTEM, "the system refused a process, a thread or memory"),
        (NOT_MOUNTED, failed),
        (
            NOT_COMMITTED,
            "with --foreground: the mount has ended with bytes that could not be stored; the log \
             names the files they were put into",
        ),
    ] {
        writeln!(text, ".TP\n.B {code}\n{}.", roff(meaning)).unwrap();
    }
    text
}

/// The tables of words, each under its heading.
fn words() -> String {
    let command = Typed::command();
    let mut text = String::new();
    for section in SECTIONS {
        writeln!(text, ".SS {}", roff(section.title)).unwrap();
        // Words that follow each other and are told the same of stand together.
        for same in section.words.chunk_by(|a, b| said(a) == said(b)) {
            let names: Vec<String> = same.iter().map(|word| shown(word, &command)).collect();
            writeln!(text, ".TP\n{}", names.join(", ")).unwrap();
            writeln!(text, "{}", said(&same[0])).unwrap();
        }
    }
    text
}

/// A word with what it takes.
fn shown(word: &Word, command: &Command) -> String {
    let of_flag = |flag: &str| {
        let long = flag.trim_start_matches("--");
        let mut args = command.get_arguments();
        let arg = args.find(|arg| arg.get_long() == Some(long)).unwrap();
        let names = arg.get_value_names().unwrap();
        names.first().unwrap().as_str().to_owned()
    };
    let name = roff(word.name);
    let value = |flag| format!("=\\fI{}\\fP", roff(&of_flag(flag)));
    match word.meaning {
        Meaning::Value(flag) => format!("\\fB{name}\\fP{}", value(flag)),
        Meaning::Optional(flag, _) => format!("\\fB{name}\\fP[{}]", value(flag)),
        Meaning::Acl => format!("\\fB{name}\\fP=\\fICANNED\\fP"),
        Meaning::DebugLevel => format!("\\fB{name}\\fP=\\fILEVEL\\fP"),
        Meaning::Encryption => format!("\\fB{name}\\fP[=\\fIKEYS\\fP]"),
        Meaning::Config => format!("\\fB{name}\\fP=\\fIFILE\\fP"),
        _ => format!("\\fB{name}\\fP"),
    }
}

fn said(word: &Word) -> String {
    let about = marked(word.about);
    match word.meaning {
        Meaning::Ignored => format!("Ignored: {about}."),
        Meaning::Unless(advice) => format!(
            "Ignored: {about}; \\fB{}=0\\fP is refused: {}.",
            roff(word.name),
            marked(advice)
        ),
        Meaning::Refused => format!("Refused: {about}."),
        _ => format!("{}.", marked(&with_a_capital(word.about))),
    }
}

/// A sentence begins with a capital, unless with the name of something.
fn with_a_capital(text: &str) -> String {
    let first = text.chars().next().unwrap_or_default();
    text.replacen(first, &first.to_uppercase().to_string(), 1)
}

/// Text with what stands between backticks in bold.
fn marked(text: &str) -> String {
    let mut parts = text.split('`').map(roff).enumerate();
    parts.by_ref().fold(String::new(), |text, (n, part)| {
        let bold = n % 2 == 1;
        text + &if bold {
            format!("\\fB{part}\\fP")
        } else {
            part
        }
    })
}

fn literal(text: &str) -> String {
    text.trim_end().lines().fold(String::new(), |text, line| {
        let guard = if line.starts_with(['.', '\'']) {
            "\\&"
        } else {
            ""
        };
        format!("{text}{guard}{}\n", roff(line))
    })
}

/// Text that stands for itself in a manual page.
fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
