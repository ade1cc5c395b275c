//! Taking SQL names apart, to compare them and to show their last part.

use datafusion::common::TableReference;

/// The parts of a dotted SQL name, quotes removed.
pub(crate) fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut parts, '"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            _ => push(&mut parts, c),
        }
    }
    parts
}

fn push(parts: &mut [String], c: char) {
    if let Some(last) = parts.last_mut() {
        last.push(c);
    }
}

/// The last part of a name, as Snowflake's access errors show it.
pub(crate) fn last_part(name: &str) -> String {
    parts(name).pop().unwrap_or_default()
}

/// The parts of a scan's table name. A name of one part is read as SQL text.
pub(crate) fn reference_parts(reference: &TableReference) -> Vec<String> {
    match reference {
        TableReference::Bare { table } => parts(table),
        TableReference::Partial { schema, table } => vec![schema.to_string(), table.to_string()],
        TableReference::Full { catalog, schema, table } => {
            vec![catalog.to_string(), schema.to_string(), table.to_string()]
        }
    }
}
