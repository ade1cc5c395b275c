//! The nodes of a syntax tree, read from its source: their fields and variants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Node, Part};

/// In what parts two trees differ.
#[derive(Debug, Default)]
pub struct Differences {
    /// The deepest ones.
    pub parts: BTreeSet<Part>,
    /// Variants that others stand in the place of.
    pub before: BTreeSet<Part>,
    /// Those that hold the deepest ones.
    pub above: BTreeSet<Part>,
    /// Fields whose variant differs.
    pub chosen: BTreeSet<Part>,
    /// Variants of what the second tree alone has.
    pub added: BTreeSet<Part>,
}

/// What a part is of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartOf<'t> {
    Variant,
    /// A field of that type, as the source writes it.
    Field(&'t str),
}

#[derive(Debug, Clone)]
enum Shape {
    Struct(Vec<(String, String)>),
    Tuple(Vec<String>),
    Enum(Vec<(String, Shape)>),
}

/// Each node's shape, and its generic parameter.
#[derive(Debug)]
pub struct Types {
    shapes: BTreeMap<String, (Option<String>, Shape)>,
    /// Nodes that are read as a whole.
    whole: &'static [&'static str],
}

/// Where cargo keeps the syntax tree of the parser that is built.
pub fn parser() -> PathBuf {
    let host = told(Command::new("rustc").arg("-vV"));
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = told(
        Command::new(cargo)
            .args(["metadata", "--offline", "--locked", "--format-version=1"])
            .args(["--filter-platform", host])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]),
    );
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut parsers = packages.iter().filter(|package| package["name"] == "sqlparser");
    let manifest = parsers.next().unwrap()["manifest_path"].as_str().unwrap();
    assert!(parsers.next().is_none(), "two versions of the parser");
    Path::new(manifest).with_file_name("src").join("ast")
}

/// What a program writes.
fn told(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Source without comments and attributes.
fn bare(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        out.push_str(code);
        out.push('\n');
    }
    let mut bare = String::new();
    let mut rest = out.as_str();
    while let Some(at) = rest.find("#[") {
        bare.push_str(&rest[..at]);
        let mut depth = 0usize;
        let end = rest[at..].char_indices().find_map(|(index, c)| {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            (c == ']' && depth == 0).then_some(at + index + 1)
        });
        rest = &rest[end.unwrap()..];
    }
    bare + rest
}

/// The text between a bracket and its partner; the first character is the bracket.
fn bracketed(text: &str) -> &str {
    let mut depth = 0usize;
    for (index, c) in text.char_indices() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => {
                depth -= 1;
                if depth == 0 {
                    return &text[1..index];
                }
            }
            _ => {}
        }
    }
    panic!("a bracket is not closed: {text}")
}

/// Splits at the commas outside of brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0usize, 0);
    for (index, c) in text.char_indices() {
        match c {
            '{' | '(' | '<' | '[' => depth += 1,
            '}' | ')' | '>' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

fn fields(text: &str) -> Vec<(String, String)> {
    split(text)
        .into_iter()
        .map(|field| {
            let field = field.strip_prefix("pub ").unwrap_or(field);
            let (name, of) = field.split_once(':').unwrap();
            (name.trim().trim_start_matches("r#").to_string(), of.trim().to_string())
        })
        .collect()
}

fn tuple(text: &str) -> Vec<String> {
    split(text).into_iter().map(|of| of.trim_start_matches("pub ").to_string()).collect()
}

fn variant(text: &str) -> (String, Shape) {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim();
    let shape = match rest.chars().next() {
        Some('{') => Shape::Struct(fields(bracketed(rest))),
        Some('(') => Shape::Tuple(tuple(bracketed(rest))),
        _ => Shape::Tuple(Vec::new()),
    };
    (name.to_string(), shape)
}

impl Types {
    /// The nodes that the files of a folder define, `root` among them. Those in `whole` have no
    /// parts of their own.
    pub fn of(folder: &Path, root: &str, whole: &'static [&'static str]) -> Types {
        let mut shapes = BTreeMap::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let text = bare(text.split("#[cfg(test)]").next().unwrap_or_default());
            for (word, is_enum) in [("\npub struct ", false), ("\npub enum ", true)] {
                for (at, _) in text.match_indices(word) {
                    let rest = &text[at + word.len()..];
                    let Some(open) = rest.find(['{', '(', ';']) else { continue };
                    let head = rest[..open].trim();
                    let (name, parameter) = match head.split_once('<') {
                        Some((name, parameter)) => {
                            (name, Some(parameter.trim_end_matches('>').to_string()))
                        }
                        None => (head, None),
                    };
                    let body = &rest[open..];
                    let shape = match (is_enum, body.chars().next()) {
                        (true, _) => {
                            Shape::Enum(split(bracketed(body)).into_iter().map(variant).collect())
                        }
                        (false, Some('{')) => Shape::Struct(fields(bracketed(body))),
                        (false, Some('(')) => Shape::Tuple(tuple(bracketed(body))),
                        _ => Shape::Tuple(Vec::new()),
                    };
                    shapes.insert(name.to_string(), (parameter, shape));
                }
            }
        }
        assert!(shapes.contains_key(root), "no {root} in {}", folder.display());
        Types { shapes, whole }
    }

    /// A node's shape with its generic parameter filled in.
    fn shape(&self, of: &str) -> Option<(String, Shape)> {
        let (name, argument) = match of.split_once('<') {
            Some((name, argument)) => (name, Some(argument.strip_suffix('>')?)),
            None => (of, None),
        };
        let name = name.rsplit("::").next()?;
        if self.whole.contains(&name) {
            return None;
        }
        let (parameter, shape) = self.shapes.get(name)?;
        let fill = |of: &String| match (parameter, argument) {
            (Some(parameter), Some(argument)) => of
                .split_inclusive(|c: char| !c.is_alphanumeric())
                .map(|word| match word.strip_prefix(parameter.as_str()) {
                    Some(rest) if !rest.starts_with(char::is_alphanumeric) => {
                        format!("{argument}{rest}")
                    }
                    _ => word.to_string(),
                })
                .collect(),
            _ => of.clone(),
        };
        fn filled(shape: &Shape, fill: &dyn Fn(&String) -> String) -> Shape {
            match shape {
                Shape::Struct(fields) => {
                    Shape::Struct(fields.iter().map(|(n, of)| (n.clone(), fill(of))).collect())
                }
                Shape::Tuple(values) => Shape::Tuple(values.iter().map(fill).collect()),
                Shape::Enum(variants) => Shape::Enum(
                    variants.iter().map(|(n, shape)| (n.clone(), filled(shape, fill))).collect(),
                ),
            }
        }
        Some((name.to_string(), filled(shape, &fill)))
    }

    /// The parts in which two trees differ, as far down as they are alike.
    pub fn differences(
        &self,
        of: &str,
        left: &Node,
        right: &Node,
        part: &str,
        out: &mut Differences,
    ) {
        if left == right {
            return;
        }
        if let Some(inner) = wrapped("Box", of) {
            return self.differences(inner, left, right, part, out);
        }
        if let Some(inner) = wrapped("Option", of) {
            match (left, right) {
                (Node::Tuple(a, x), Node::Tuple(b, y)) if a == "Some" && b == "Some" => {
                    self.differences(inner, &x[0], &y[0], part, out);
                }
                _ => {
                    out.parts.insert(part.to_string());
                    self.variant(of, right, &mut out.added);
                }
            }
            return;
        }
        if let (Some(inner), Node::List(a), Node::List(b)) = (wrapped("Vec", of), left, right) {
            if a.len() == b.len() {
                for (a, b) in a.iter().zip(b) {
                    self.differences(inner, a, b, part, out);
                }
            } else {
                out.parts.insert(part.to_string());
                for added in b.iter().filter(|node| !a.contains(node)) {
                    self.variant(inner, added, &mut out.added);
                }
            }
            return;
        }
        match self.shape(of) {
            Some((name, Shape::Enum(variants))) => {
                let (a, b) = (label(left), label(right));
                if a != b {
                    out.parts.insert(format!("{name}::{b}"));
                    // The other one was there before: not a second change.
                    out.before.insert(format!("{name}::{a}"));
                    out.chosen.insert(part.to_string());
                    return;
                }
                if let Some((_, shape)) = variants.iter().find(|(name, _)| *name == a) {
                    let part = format!("{name}::{a}");
                    out.above.insert(part.clone());
                    self.inside(&part, shape, left, right, &part, out);
                }
            }
            Some((name, shape)) => self.inside(&name, &shape, left, right, part, out),
            None => drop(out.parts.insert(part.to_string())),
        }
    }

    fn inside(
        &self,
        owner: &str,
        shape: &Shape,
        left: &Node,
        right: &Node,
        part: &str,
        out: &mut Differences,
    ) {
        match (shape, left, right) {
            (Shape::Struct(fields), Node::Struct(_, a), Node::Struct(_, b)) => {
                for (field, of) in fields {
                    let (a, b) = (value(owner, field, a), value(owner, field, b));
                    let part = format!("{owner}.{field}");
                    if a != b {
                        out.above.insert(part.clone());
                    }
                    self.differences(of, a, b, &part, out);
                }
            }
            (Shape::Tuple(types), Node::Tuple(_, a), Node::Tuple(_, b)) => {
                for ((of, a), b) in types.iter().zip(a).zip(b) {
                    // A variant's only value is part of the variant.
                    let part = if types.len() == 1 { part } else { owner };
                    self.differences(of, a, b, part, out);
                }
            }
            _ => drop(out.parts.insert(part.to_string())),
        }
    }

    /// The variant that a tree is.
    fn variant(&self, of: &str, node: &Node, out: &mut BTreeSet<Part>) {
        match (wrapped("Option", of).or(wrapped("Box", of)), node) {
            (Some(inner), Node::Tuple(some, values)) if some == "Some" => {
                self.variant(inner, &values[0], out)
            }
            (Some(inner), node) if of.starts_with("Box") => self.variant(inner, node, out),
            _ => {
                if let Some((name, Shape::Enum(_))) = self.shape(of) {
                    out.insert(format!("{name}::{}", label(node)));
                }
            }
        }
    }

    /// The parts that a node can have, its own and those of all nodes below it. Nothing is below
    /// a part that is always refused (`known` as false), and `wanted` tells which are parts at all.
    pub fn parts_below(
        &self,
        root: &str,
        known: &BTreeMap<Part, bool>,
        wanted: impl Fn(PartOf<'_>) -> bool,
    ) -> BTreeSet<Part> {
        let mut parts = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut open = vec![root.to_string()];
        let refused = |part: &str| known.get(part) == Some(&false);
        while let Some(of) = open.pop() {
            for name in names(&of) {
                let text = name.to_string();
                let Some((name, shape)) = self.shape(name) else { continue };
                if refused(&name) || !seen.insert(text) {
                    continue;
                }
                let shapes: Vec<(String, Shape)> = match shape {
                    Shape::Enum(variants) => variants
                        .into_iter()
                        .filter_map(|(variant, shape)| {
                            let part = format!("{name}::{variant}");
                            if wanted(PartOf::Variant) {
                                parts.insert(part.clone());
                            }
                            (!refused(&part)).then_some((part, shape))
                        })
                        .collect(),
                    shape => vec![(name, shape)],
                };
                for (owner, shape) in shapes {
                    match shape {
                        Shape::Tuple(types) => open.extend(types),
                        Shape::Struct(fields) => {
                            for (field, of) in fields {
                                let part = format!("{owner}.{field}");
                                if wanted(PartOf::Field(&of)) {
                                    parts.insert(part.clone());
                                }
                                if !refused(&part) {
                                    open.push(of);
                                }
                            }
                        }
                        Shape::Enum(_) => {}
                    }
                }
            }
        }
        parts
    }
}

/// `T` of `Wrapper<T>`.
fn wrapped<'t>(wrapper: &str, of: &'t str) -> Option<&'t str> {
    of.strip_prefix(wrapper)?.strip_prefix('<')?.strip_suffix('>')
}

/// The types written in a type, whole generic ones included.
fn names(of: &str) -> Vec<&str> {
    for wrapper in ["Box", "Option", "Vec"] {
        if let Some(inner) = wrapped(wrapper, of) {
            return names(inner);
        }
    }
    match of.strip_prefix('(') {
        Some(rest) => split(rest.trim_end_matches(')')).into_iter().flat_map(names).collect(),
        None => vec![of],
    }
}

fn value<'n>(owner: &str, field: &str, values: &'n [(String, Node)]) -> &'n Node {
    match values.iter().find(|(name, _)| name == field) {
        Some((_, node)) => node,
        None => panic!("{owner}.{field} is in the source but not in the tree"),
    }
}

fn label(node: &Node) -> String {
    match node {
        Node::Struct(name, _) | Node::Tuple(name, _) => name.clone(),
        Node::List(_) => "[]".to_string(),
        Node::Leaf(text) => text.clone(),
    }
}
