//! A small scanner of Rust text: comments and strings blanked, blocks matched by their braces.
//! Knows no rule.

/// Source text in which comments, strings and characters are blanks; line for line the original.
pub struct Code {
    text: String,
}

/// A function as written.
pub struct Function {
    pub name: String,
    /// From the line of `fn` to the line of its closing brace; 1 without a body.
    pub lines: usize,
    /// Without `self`.
    pub parameters: usize,
    /// Inside `impl Trait for Type`.
    pub in_trait_impl: bool,
}

/// The declaration of a name.
pub struct Item {
    pub kind: &'static str,
    pub name: String,
}

const ITEM_KINDS: [&str; 8] = [
    "fn", "struct", "enum", "trait", "mod", "type", "const", "static",
];

impl Code {
    /// Blanks `text`.
    pub fn new(text: &str) -> Self {
        Self { text: blank(text) }
    }

    /// The code with every item under `#[cfg(test)]` blanked too.
    pub fn without_tests(&self) -> Self {
        let mut text = self.text.clone();
        while let Some(at) = text.find("#[cfg(test)]") {
            let end = item_end(&text, at + "#[cfg(test)]".len());
            let blanks: String = text[at..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' })
                .collect();
            text.replace_range(at..end, &blanks);
        }
        Self { text }
    }

    /// Lines up to the first `#[cfg(test)]` on a module, or all.
    pub fn lines_before_tests(&self) -> usize {
        let mut from = 0;
        while let Some(found) = self.text[from..].find("#[cfg(test)]") {
            let at = from + found;
            let rest = self.text[at + "#[cfg(test)]".len()..].trim_start();
            if rest.starts_with("mod ") {
                return self.text[..at].lines().count();
            }
            from = at + 1;
        }
        self.text.lines().count()
    }

    /// Whether `path` occurs as a path: not as the tail of a longer name.
    pub fn mentions(&self, path: &str) -> bool {
        !self.positions(path).is_empty()
    }

    /// The 1-based lines `text` occurs in.
    pub fn lines_with(&self, text: &str) -> Vec<usize> {
        self.positions(text)
            .into_iter()
            .map(|at| self.line_of(at))
            .collect()
    }

    fn line_of(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    fn positions(&self, needle: &str) -> Vec<usize> {
        let named = needle.starts_with(is_name_character);
        self.text
            .match_indices(needle)
            .map(|(at, _)| at)
            .filter(|at| !named || !self.text[..*at].ends_with(is_name_character))
            .collect()
    }

    /// What follows `crate::`, groups in braces spelt out.
    pub fn crate_paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for at in self.positions("crate::") {
            let mut rest = self.text[at + "crate::".len()..].chars().peekable();
            expand_path(&mut rest, String::new(), &mut paths);
        }
        paths
    }

    /// Every function, in order.
    pub fn functions(&self) -> Vec<Function> {
        let trait_impls = self.trait_impls();
        let mut functions = Vec::new();
        for (at, name) in self.declarations("fn") {
            let rest = &self.text[at..];
            let Some(end) = signature_end(rest) else {
                continue;
            };
            let lines = if rest[end..].starts_with('{') {
                rest[..block_end(rest, end)].matches('\n').count() + 1
            } else {
                1
            };
            functions.push(Function {
                name,
                lines,
                parameters: count_parameters(&rest[..end]),
                in_trait_impl: trait_impls.iter().any(|block| block.contains(&at)),
            });
        }
        functions
    }

    /// Every declared name, except those inside `impl Trait for Type`, which the trait chose.
    pub fn item_names(&self) -> Vec<Item> {
        let trait_impls = self.trait_impls();
        let mut items = Vec::new();
        for kind in ITEM_KINDS {
            for (at, name) in self.declarations(kind) {
                if !trait_impls.iter().any(|block| block.contains(&at)) {
                    items.push(Item { kind, name });
                }
            }
        }
        items
    }

    fn declarations(&self, keyword: &str) -> Vec<(usize, String)> {
        let keyword = format!("{keyword} ");
        let mut found = Vec::new();
        for at in self.positions(&keyword) {
            let name: String = self.text[at + keyword.len()..]
                .chars()
                .take_while(|c| is_name_character(*c))
                .collect();
            if !name.is_empty() && name != "fn" {
                found.push((at, name));
            }
        }
        found
    }

    fn trait_impls(&self) -> Vec<std::ops::Range<usize>> {
        let mut blocks = Vec::new();
        for at in self.positions("impl") {
            let rest = &self.text[at..];
            let starts_line = self.text[..at].trim_end_matches(' ').ends_with('\n') || at == 0;
            let Some(open) = rest.find('{') else { continue };
            if starts_line && rest[..open].contains(" for ") {
                blocks.push(at..at + block_end(rest, open));
            }
        }
        blocks
    }
}

/// `ObjectKey`, `object_key` -> `object`, `key`.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lower_before = false;
    for c in name.chars() {
        if c == '_' {
            lower_before = false;
            words.push(String::new());
            continue;
        }
        if words.is_empty() || (c.is_ascii_uppercase() && lower_before) {
            words.push(String::new());
        }
        lower_before = !c.is_ascii_uppercase();
        words.last_mut().unwrap().push(c.to_ascii_lowercase());
    }
    words.retain(|word| !word.is_empty());
    words
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The end of the item whose attribute ends at `from`: its closing brace or its semicolon.
fn item_end(text: &str, from: usize) -> usize {
    let rest = &text[from..];
    match rest.find(['{', ';']) {
        Some(at) if rest[at..].starts_with('{') => from + block_end(rest, at),
        Some(at) => from + at + 1,
        None => text.len(),
    }
}

/// One past the brace that closes the one at `open`.
fn block_end(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text[open..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + at + 1;
        }
    }
    text.len()
}

/// Where a signature ends: the `{` of the body or the `;`, outside brackets.
fn signature_end(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' | ';' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn count_parameters(signature: &str) -> usize {
    // The list opens at the first parenthesis outside the generics.
    let mut angle = 0_i32;
    let mut before = ' ';
    let mut open = None;
    for (at, c) in signature.char_indices() {
        match c {
            '<' => angle += 1,
            '>' if before != '-' => angle -= 1,
            '(' if angle == 0 => {
                open = Some(at);
                break;
            }
            _ => {}
        }
        before = c;
    }
    let Some(open) = open else { return 0 };
    let mut depth = 0_i32;
    let mut parameters = vec![String::new()];
    before = ' ';
    for c in signature[open..].chars() {
        match c {
            '(' | '[' | '<' | '{' => depth += 1,
            '>' if before == '-' => {}
            ')' | ']' | '>' | '}' => depth -= 1,
            ',' if depth == 1 => parameters.push(String::new()),
            _ => parameters.last_mut().unwrap().push(c),
        }
        if depth == 0 {
            break;
        }
        before = c;
    }
    parameters
        .iter()
        .map(|p| p.trim())
        .filter(|p| !p.is_empty() && !is_self(p))
        .count()
}

fn is_self(parameter: &str) -> bool {
    let name = parameter.split(':').next().unwrap_or_default();
    name.split(|c| !is_name_character(c))
        .any(|word| word == "self")
}

fn expand_path(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    mut path: String,
    paths: &mut Vec<String>,
) {
    while let Some(&c) = rest.peek() {
        if is_name_character(c) || c == ':' {
            path.push(c);
        } else if c == '{' {
            rest.next();
            expand_group(rest, &path, paths);
            return;
        } else {
            break;
        }
        rest.next();
    }
    let path = path.trim_end_matches(':').trim_end_matches("::self");
    if !path.is_empty() {
        paths.push(path.to_owned());
    }
}

fn expand_group(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    prefix: &str,
    paths: &mut Vec<String>,
) {
    while let Some(&c) = rest.peek() {
        if c == '}' {
            rest.next();
            return;
        } else if is_name_character(c) {
            expand_path(rest, prefix.to_owned(), paths);
        } else {
            rest.next();
        }
    }
}

/// What the scanner is inside of.
enum Inside {
    Code,
    LineComment,
    /// With its depth: block comments nest.
    BlockComment(usize),
    Text,
    /// With the number of `#`.
    RawText(usize),
}

fn blank(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut inside = Inside::Code;
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        let (next, taken) = step(&inside, rest, out.ends_with(is_name_character));
        let shown = matches!((&inside, &next), (Inside::Code, Inside::Code)) && taken == 1;
        for c in &rest[..taken] {
            out.push(if *c == '\n' || shown { *c } else { ' ' });
        }
        inside = next;
        at += taken;
    }
    out
}

/// Takes the characters that belong together; returns what follows them is inside of.
fn step(inside: &Inside, rest: &[char], after_name: bool) -> (Inside, usize) {
    let starts = |text: &str| {
        text.chars()
            .enumerate()
            .all(|(i, c)| rest.get(i) == Some(&c))
    };
    match *inside {
        Inside::Code if starts("//") => (Inside::LineComment, 2),
        Inside::Code if starts("/*") => (Inside::BlockComment(1), 2),
        Inside::Code if starts("\"") => (Inside::Text, 1),
        Inside::Code if !after_name && (starts("r\"") || starts("r#") || starts("br")) => {
            raw_start(rest).map_or((Inside::Code, 1), |(hashes, len)| {
                (Inside::RawText(hashes), len)
            })
        }
        Inside::Code if starts("'") => (Inside::Code, character_len(rest)),
        Inside::Code => (Inside::Code, 1),
        Inside::LineComment if starts("\n") => (Inside::Code, 1),
        Inside::LineComment => (Inside::LineComment, 1),
        Inside::BlockComment(1) if starts("*/") => (Inside::Code, 2),
        Inside::BlockComment(depth) if starts("*/") => (Inside::BlockComment(depth - 1), 2),
        Inside::BlockComment(depth) if starts("/*") => (Inside::BlockComment(depth + 1), 2),
        Inside::BlockComment(depth) => (Inside::BlockComment(depth), 1),
        Inside::Text if starts("\\") => (Inside::Text, 2.min(rest.len())),
        Inside::Text if starts("\"") => (Inside::Code, 1),
        Inside::Text => (Inside::Text, 1),
        Inside::RawText(hashes) if starts(&format!("\"{}", "#".repeat(hashes))) => {
            (Inside::Code, 1 + hashes)
        }
        Inside::RawText(hashes) => (Inside::RawText(hashes), 1),
    }
}

fn raw_start(rest: &[char]) -> Option<(usize, usize)> {
    let prefix = rest.iter().take_while(|c| matches!(c, 'b' | 'r')).count();
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    (rest.get(prefix + hashes) == Some(&'"')).then_some((hashes, prefix + hashes + 1))
}

/// The length of a character literal; 1 for the quote of a lifetime.
fn character_len(rest: &[char]) -> usize {
    if rest.get(1) == Some(&'\\') {
        let close = rest.iter().skip(3).position(|c| *c == '\'');
        close.map_or(1, |at| at + 4)
    } else if rest.get(2) == Some(&'\'') {
        3
    } else {
        1
    }
}
