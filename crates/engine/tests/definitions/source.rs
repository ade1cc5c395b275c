//! The nodes of a syntax tree, read from its source: their fields and variants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Part;
use super::debug::Node;

/// Nodes that are read as a whole, or that a query does not contain.
const WHOLE: &[&str] = &[
    "AttachedToken",
    "CreateMode",
    "DataType",
    "Ident",
    "IdentWithAlias",
    "ObjectName",
    "Options",
    "Persistence",
    "Span",
    "Value",
    "ValueWithSpan",
];

/// What begins a part that another one stands in the place of.
pub(super) const BEFORE: char = '~';

#[derive(Debug, Clone)]
enum Shape {
    Struct(Vec<(String, String)>),
    Tuple(Vec<String>),
    Enum(Vec<(String, Shape)>),
}

/// Each node's shape, and its generic parameter.
#[derive(Debug)]
pub(super) struct Types {
    shapes: BTreeMap<String, (Option<String>, Shape)>,
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
    /// The nodes that the files of a folder define, `root` among them.
    pub fn of(folder: &Path, root: &str) -> Types {
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
        Types { shapes }
    }

    /// Names of the enums.
    pub fn enums(&self) -> Vec<String> {
        let all = self.shapes.iter();
        all.filter(|(_, (_, shape))| matches!(shape, Shape::Enum(_)))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// A node's shape with its generic parameter filled in.
    fn shape(&self, of: &str) -> Option<(String, Shape)> {
        let (name, argument) = match of.split_once('<') {
            Some((name, argument)) => (name, Some(argument.strip_suffix('>')?)),
            None => (of, None),
        };
        let name = name.rsplit("::").next()?;
        if WHOLE.contains(&name) {
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
        out: &mut BTreeSet<Part>,
    ) {
        if left == right {
            return;
        }
        if let Some(inner) = wrapped("Box", of) {
            return self.differences(inner, left, right, part, out);
        }
        if let Some(inner) = wrapped("Option", of) {
            return match (left, right) {
                (Node::Tuple(a, x), Node::Tuple(b, y)) if a == "Some" && b == "Some" => {
                    self.differences(inner, &x[0], &y[0], part, out)
                }
                _ => drop(out.insert(part.to_string())),
            };
        }
        if let (Some(inner), Node::List(a), Node::List(b)) = (wrapped("Vec", of), left, right)
            && a.len() == b.len()
        {
            for (a, b) in a.iter().zip(b) {
                self.differences(inner, a, b, part, out);
            }
            return;
        }
        match self.shape(of) {
            Some((name, Shape::Enum(variants))) => {
                let (a, b) = (label(left), label(right));
                if a != b {
                    out.insert(format!("{name}::{b}"));
                    // The other one was there before: not a second change.
                    out.insert(format!("{BEFORE}{name}::{a}"));
                    return;
                }
                if let Some((_, shape)) = variants.iter().find(|(name, _)| *name == a) {
                    self.inside(&format!("{name}::{a}"), shape, left, right, part, out);
                }
            }
            Some((name, shape)) => self.inside(&name, &shape, left, right, part, out),
            None => drop(out.insert(part.to_string())),
        }
    }

    fn inside(
        &self,
        owner: &str,
        shape: &Shape,
        left: &Node,
        right: &Node,
        part: &str,
        out: &mut BTreeSet<Part>,
    ) {
        match (shape, left, right) {
            (Shape::Struct(fields), Node::Struct(_, a), Node::Struct(_, b)) => {
                for (field, of) in fields {
                    let value = |list: &[(String, Node)]| {
                        list.iter().find(|(name, _)| name == field).map(|(_, node)| node.clone())
                    };
                    let (Some(a), Some(b)) = (value(a), value(b)) else {
                        panic!("{owner}.{field} is in the source but not in the tree");
                    };
                    self.differences(of, &a, &b, &format!("{owner}.{field}"), out);
                }
            }
            (Shape::Tuple(types), Node::Tuple(_, a), Node::Tuple(_, b)) => {
                for ((of, a), b) in types.iter().zip(a).zip(b) {
                    // A variant's only value is part of the variant.
                    let part = if types.len() == 1 { part } else { owner };
                    self.differences(of, a, b, part, out);
                }
            }
            _ => drop(out.insert(part.to_string())),
        }
    }

    /// The parts that a node can have, its own and those of all nodes below it. Nothing is below
    /// a part that is always refused.
    pub fn parts_below(
        &self,
        root: &str,
        known: &BTreeMap<Part, bool>,
        named: &[&str],
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
                            if !named.contains(&name.as_str()) {
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
                                if is_optional(&of) {
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

/// Whether a node can do without the field: those it can't are looked at by whatever reads it.
fn is_optional(of: &str) -> bool {
    match wrapped("Box", of) {
        Some(inner) => is_optional(inner),
        None => {
            ["Option", "Vec"].iter().any(|wrapper| wrapped(wrapper, of).is_some())
                || ["bool", "u32", "u64", "i64", "f64", "CreateMode", "Persistence", "Options"]
                    .contains(&of)
        }
    }
}

fn label(node: &Node) -> String {
    match node {
        Node::Struct(name, _) | Node::Tuple(name, _) => name.clone(),
        Node::List(_) => "[]".to_string(),
        Node::Leaf(text) => text.clone(),
    }
}
