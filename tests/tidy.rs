//! The house rules, kept by a test: imports, sizes, words, calls. Knows text only, no Rust types.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/scan.rs"]
mod scan;

use rules::{Exception, Rule};
use scan::Code;

/// One source file, read and blanked.
struct Source {
    /// From the project's root, with `/`.
    path: String,
    text: String,
    code: Code,
}

impl Source {
    fn load(root: &Path, file: &Path) -> Self {
        let path = file
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        let text = fs::read_to_string(file).unwrap();
        let code = Code::new(&text);
        Self { path, text, code }
    }

    /// Whether the whole file is tests, or only tests use it.
    fn is_test(&self) -> bool {
        !self.path.starts_with("src/")
            || self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
    }

    /// `src/store/s3/get.rs` is module `store::s3::get`; `src/main.rs` is `main`.
    fn module(&self) -> String {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.replace('/', "::")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for dir in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        rust_files(&root.join(dir), &mut files);
    }
    files.sort();
    assert!(
        files.len() > 20,
        "the scan found only {} files",
        files.len()
    );
    files.iter().map(|file| Source::load(&root, file)).collect()
}

/// What breaks a rule, less the excused; an excuse nobody needs any more is an offence too.
fn verdict(rule: Rule, found: Vec<(String, String)>) {
    let excuses: Vec<&Exception> = rules::EXCEPTIONS
        .iter()
        .filter(|exception| exception.rule == rule)
        .collect();
    let excused = |place: &str, what: &str| {
        excuses
            .iter()
            .any(|excuse| excuse.file == place && what.contains(excuse.what))
    };
    let mut report = String::new();
    for (place, what) in &found {
        if !excused(place, what) {
            writeln!(report, "  {place}: {what}").unwrap();
        }
    }
    for excuse in &excuses {
        assert!(!excuse.reason.is_empty());
        let used = found
            .iter()
            .any(|(place, what)| place == excuse.file && what.contains(excuse.what));
        if !used {
            writeln!(
                report,
                "  {}: the exception {:?} is not needed",
                excuse.file, excuse.what
            )
            .unwrap();
        }
    }
    assert!(report.is_empty(), "{rule:?}:\n{report}");
}

fn offences(rule: Rule, check: impl Fn(&Source) -> Vec<String>) {
    let mut found = Vec::new();
    for source in sources() {
        for what in check(&source) {
            found.push((source.path.clone(), what));
        }
    }
    verdict(rule, found);
}

#[test]
fn every_module_imports_only_what_lies_below_it() {
    offences(Rule::Imports, |source| {
        if !source.path.starts_with("src/") || source.is_test() {
            return Vec::new();
        }
        let module = source.module();
        if module == "lib" {
            return Vec::new();
        }
        let Some(row) = rules::row_of(&module) else {
            return vec![format!("module {module} is not in the import table")];
        };
        let mut wrong = Vec::new();
        for import in source.code.without_tests().crate_paths() {
            let target = rules::module_of_path(&import);
            let own = target == row.module || target.starts_with(&format!("{}::", row.module));
            if !own && !row.may_import.contains(&target) {
                wrong.push(format!("{module} imports {target} ({import})"));
            }
        }
        wrong.sort();
        wrong.dedup();
        wrong
    });
}

#[test]
fn the_import_table_has_no_cycle() {
    for (position, row) in rules::IMPORTS.iter().enumerate() {
        for import in row.may_import {
            let below = rules::IMPORTS
                .iter()
                .position(|other| other.module == *import);
            assert!(
                below.is_some(),
                "{} imports {import}, which has no row",
                row.module
            );
            assert!(
                below < Some(position),
                "{} imports {import} from above",
                row.module
            );
        }
    }
}

#[test]
fn foreign_crates_stay_in_their_rooms() {
    offences(Rule::Crates, |source| {
        if !source.path.starts_with("src/") || source.is_test() {
            return Vec::new();
        }
        let module = source.module();
        let code = source.code.without_tests();
        let mut wrong = Vec::new();
        for room in rules::ROOMS {
            let inside = room.modules.iter().any(|at| rules::is_within(&module, at));
            if !inside && code.mentions(room.path) {
                wrong.push(format!("{} belongs to {:?}", room.path, room.modules));
            }
        }
        for (pure, banned) in rules::PURE.iter().flat_map(|pure| {
            rules::BANNED_IN_PURE
                .iter()
                .map(move |banned| (pure, banned))
        }) {
            if rules::is_within(&module, pure) && code.mentions(banned) {
                wrong.push(format!("{banned} in the pure core"));
            }
        }
        wrong
    });
}

#[test]
fn every_file_says_first_what_it_is() {
    offences(Rule::Opening, |source| {
        let opens = source.text.starts_with("//! ");
        if opens {
            Vec::new()
        } else {
            vec!["does not open with `//! `".to_owned()]
        }
    });
}

#[test]
fn every_file_is_ascii_in_100_columns() {
    offences(Rule::Text, |source| {
        let mut wrong = Vec::new();
        for (number, line) in source.text.lines().enumerate() {
            if !line.is_ascii() {
                wrong.push(format!("line {} is not ASCII", number + 1));
            }
            if line.chars().count() > 100 {
                wrong.push(format!("line {} is wider than 100 columns", number + 1));
            }
        }
        wrong
    });
}

#[test]
fn no_file_is_longer_than_500_lines_before_its_tests() {
    offences(Rule::FileSize, |source| {
        if source.is_test() {
            return Vec::new();
        }
        let lines = source.code.lines_before_tests();
        if lines > 500 {
            vec![format!("{lines} lines")]
        } else {
            Vec::new()
        }
    });
}

#[test]
fn every_function_fits_a_screen_and_takes_at_most_six_parameters() {
    offences(Rule::Functions, |source| {
        let mut wrong = Vec::new();
        for function in source.code.functions() {
            if function.lines > 70 {
                wrong.push(format!("fn {}: {} lines", function.name, function.lines));
            }
            // A trait of another crate dictates its signatures.
            if function.parameters > 6 && !function.in_trait_impl {
                wrong.push(format!(
                    "fn {}: {} parameters",
                    function.name, function.parameters
                ));
            }
        }
        wrong
    });
}

#[test]
fn no_name_says_nothing() {
    offences(Rule::Words, |source| {
        let mut wrong = Vec::new();
        let stem = Path::new(&source.path)
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap();
        if rules::BANNED_MODULES.contains(&stem) {
            wrong.push(format!("file {stem}"));
        }
        for item in source.code.item_names() {
            let words = scan::words(&item.name);
            if let Some(word) = words.iter().find(|word| rules::is_banned_word(word)) {
                wrong.push(format!("{} {}: {word:?}", item.kind, item.name));
            }
            if item.kind == "fn" && item.name.starts_with("get_") {
                wrong.push(format!("fn {}: get_", item.name));
            }
            if item.kind == "mod" && rules::BANNED_MODULES.contains(&item.name.as_str()) {
                wrong.push(format!("mod {}", item.name));
            }
        }
        wrong
    });
}

#[test]
fn banned_calls_do_not_occur_outside_tests() {
    offences(Rule::Calls, |source| {
        if source.is_test() {
            return Vec::new();
        }
        let module = source.module();
        let code = source.code.without_tests();
        let mut wrong = Vec::new();
        for call in rules::BANNED_CALLS {
            let allowed = call.except.iter().any(|at| rules::is_within(&module, at));
            for line in code.lines_with(call.text) {
                // The compiler evaluates a constant: a panic there is a build that fails.
                let constant = source.text.lines().nth(line - 1).is_some_and(is_constant);
                if !allowed && !constant {
                    wrong.push(format!("line {line}: {}", call.text));
                }
            }
        }
        wrong
    });
}

fn is_constant(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("const ") || line.starts_with("pub const ") && !line.contains(" fn ")
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    offences(Rule::Unsafe, |source| {
        let lines: Vec<&str> = source.text.lines().collect();
        let mut wrong = Vec::new();
        for line in source.code.lines_with("unsafe {") {
            let above = &lines[line.saturating_sub(6)..line];
            if !above.iter().any(|text| text.contains("// SAFETY:")) {
                wrong.push(format!("line {line}: unsafe without // SAFETY:"));
            }
        }
        wrong
    });
}

#[test]
fn no_module_file_is_called_mod() {
    offences(Rule::Opening, |source| {
        let named = source.path.ends_with("/mod.rs");
        if named {
            vec!["write foo.rs beside foo/".to_owned()]
        } else {
            Vec::new()
        }
    });
}

#[test]
fn every_promise_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("doc/semantics.md")).unwrap();
    let mut declared = Vec::new();
    for source in sources() {
        let prefix = source.path.trim_end_matches(".rs").replace('/', "::");
        for function in source.code.functions() {
            declared.push(format!("{prefix}::{}", function.name));
        }
    }
    let mut wrong = String::new();
    let mut promises = 0;
    for block in text
        .split("\n## ")
        .skip(1)
        .flat_map(|section| section.split("\n\n"))
    {
        let Some((number, _)) = block.split_once(". ") else {
            continue;
        };
        if number.parse::<u32>().is_err() {
            continue;
        }
        promises += 1;
        assert_eq!(
            number,
            promises.to_string(),
            "the promises are numbered in order"
        );
        let named: Vec<&str> = block
            .split("Test: ")
            .skip(1)
            .flat_map(|tests| tests.split('`').skip(1).step_by(2))
            .collect();
        if named.is_empty() {
            writeln!(wrong, "  promise {number} names no test").unwrap();
        }
        for name in named {
            // `file::name`, or `file::tests::name` for a unit test inside the file.
            let plain = name.replace("::tests::", "::");
            let known = declared.iter().any(|full| {
                full.ends_with(&format!("::{plain}"))
                    || full
                        .replace("::tests::", "::")
                        .ends_with(&format!("::{plain}"))
            });
            if !known {
                writeln!(wrong, "  promise {number}: no test {name}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "doc/semantics.md:\n{wrong}");
    assert!(promises > 10, "only {promises} promises found");
}

#[test]
fn the_scanner_sees_through_comments_strings_and_braces() {
    let text = concat!(
        "//! x\n",
        "fn long(a: u8, b: Vec<(u8, u8)>, c: &dyn Fn(u8, u8)) {\n",
        "  let x = \"} fn no() {\";\n",
        "  // }\n",
        "  /* { */ let c = '{'; let l: &'static str = r#\"}\"#;\n",
        "}\n",
        "impl A for B { fn get_x(&self, a: u8) -> u8 { 1 } }\n",
        "#[cfg(test)]\n",
        "mod tests { use crate::fs; fn t() { a.unwrap() } }\n",
    );
    let code = Code::new(text);
    let functions = code.functions();
    let names: Vec<_> = functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["long", "get_x", "t"]);
    assert_eq!((functions[0].lines, functions[0].parameters), (5, 3));
    assert_eq!(
        (functions[1].parameters, functions[1].in_trait_impl),
        (1, true)
    );
    assert_eq!(code.lines_before_tests(), 7);
    assert!(code.without_tests().crate_paths().is_empty());
    assert_eq!(code.crate_paths(), ["fs"]);
    assert!(code.without_tests().lines_with(".unwrap()").is_empty());
    assert_eq!(
        scan::words("ObjectKey_to2Path"),
        ["object", "key", "to2", "path"]
    );
    let nested = Code::new("use crate::{a::B, c::{self, d::E}};\nlet x = crate::f::g();\n");
    assert_eq!(nested.crate_paths(), ["a::B", "c", "c::d::E", "f::g"]);
}
