//! Every rule that is not AWS's says where it is written.

use std::collections::BTreeSet;

use super::Rules;

/// The fields of a value as its Debug form shows them: path and value. Those of what `sources`
/// tells are left out.
fn fields(rules: &Rules) -> BTreeSet<(String, String)> {
    let text = format!("{rules:#?}");
    let mut path: Vec<String> = Vec::new();
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().skip(1) {
        let depth = (line.len() - line.trim_start().len()) / 4;
        path.truncate(depth.saturating_sub(1));
        match line.trim().split_once(": ") {
            Some((name, value)) => {
                path.push(name.to_owned());
                fields.push((path.join("."), value.to_owned()));
            }
            // What a list or a tuple holds belongs to its field.
            None => {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(line.trim());
                }
            }
        }
    }
    let told = |path: &str| path.starts_with("sources") || path == "name";
    fields.into_iter().filter(|(path, _)| !told(path)).collect()
}

#[test]
fn every_rule_that_is_not_awss_has_its_source() {
    let aws = fields(&Rules::aws());
    assert!(aws.len() > 40, "{aws:?}");
    for rules in Rules::all().into_iter().chain(Rules::seen()) {
        let words = rules
            .sources
            .iter()
            .flat_map(|(words, _)| words.split(", "));
        let words: Vec<&str> = words.collect();
        for (path, value) in fields(&rules).difference(&aws) {
            let has = |word: &&str| path == *word || path.starts_with(&format!("{word}."));
            assert!(
                words.iter().any(has),
                "{}: {path}: {value} has no source",
                rules.name
            );
        }
        let known: BTreeSet<String> = fields(&rules).into_iter().map(|(path, _)| path).collect();
        for word in words {
            let is_field = |path: &String| path == word || path.starts_with(&format!("{word}."));
            assert!(known.iter().any(is_field), "{}: {word}", rules.name);
        }
    }
}

#[test]
fn every_provider_has_its_rules_once() {
    let names: BTreeSet<&str> = Rules::all().iter().map(|rules| rules.name).collect();
    assert_eq!(names.len(), 15);
}
