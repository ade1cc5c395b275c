//! SEARCH: words of a text among the words of other texts.

use frazil_common::{Code, SqlType, UserError};

use crate::cast::{CastMode, cast, text_lit};
use crate::facts::Facts;
use crate::kernel::{KernelResult, Rows, call};
use crate::typed::TypedExpr;

/// Binds `SEARCH((data, …), text, ANALYZER => …, SEARCH_MODE => …)`.
///
/// # Errors
/// Data that is no text, an analyzer or a mode that is not known.
pub fn search(
    data: Vec<TypedExpr>,
    text: TypedExpr,
    analyzer: Option<&str>,
    mode: Option<&str>,
    facts: &Facts,
) -> Result<TypedExpr, UserError> {
    let analyzer = analyzer.unwrap_or("DEFAULT_ANALYZER").to_uppercase();
    match analyzer.as_str() {
        "DEFAULT_ANALYZER" | "NO_OP_ANALYZER" => {}
        "UNICODE_ANALYZER" | "ENTITY_ANALYZER" => {
            return Err(UserError::unsupported(format!("ANALYZER => '{analyzer}'")));
        }
        _ => {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid value '{analyzer}' for ANALYZER of SEARCH"),
            ));
        }
    }
    let mode = mode.unwrap_or("OR").to_uppercase();
    if !matches!(mode.as_str(), "OR" | "AND" | "PHRASE" | "EXACT") {
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("Invalid value '{mode}' for SEARCH_MODE of SEARCH"),
        ));
    }
    if text.as_text_literal().is_none() && !text.is_null_literal() {
        return Err(UserError::new(
            Code::InvalidArgument,
            "argument 2 to function SEARCH needs to be a constant text",
        ));
    }
    let mut args = vec![
        cast(text, &SqlType::TEXT, CastMode::Implicit, facts)?.expr,
        text_lit(&analyzer),
        text_lit(&mode),
    ];
    // Of several columns those that hold no text are passed over.
    if let Some(wrong) = data.first()
        && !data.iter().any(|value| searchable(&value.sql_type))
    {
        return Err(UserError::new(
            Code::InvalidArgumentTypes,
            format!("Invalid argument types for function 'SEARCH': ({})", wrong.sql_type),
        ));
    }
    for value in data.into_iter().filter(|value| searchable(&value.sql_type)) {
        args.push(cast(value, &SqlType::TEXT, CastMode::Explicit, facts)?.expr);
    }
    Ok(call("frazil_search", args, SqlType::Boolean, true, kernel))
}

/// Types that a star of SEARCH stands for.
pub fn searchable(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Varchar { .. } | SqlType::Null) || sql_type.is_semi_structured()
}

/// Words in lower case: what stands between blanks and punctuation.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || c.is_ascii_punctuation())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether the text holds what is sought; nothing sought is found nowhere.
fn matches(mode: &str, sought: &[String], text: &str) -> bool {
    let held = words(text);
    match mode {
        "OR" => sought.iter().any(|word| held.contains(word)),
        "AND" => !sought.is_empty() && sought.iter().all(|word| held.contains(word)),
        _ => !sought.is_empty() && held.windows(sought.len()).any(|run| run == sought),
    }
}

/// EXACT: the phrase with its punctuation and blanks, not inside longer words.
fn holds_exactly(sought: &str, text: &str) -> bool {
    let (sought, text) = (sought.to_lowercase(), text.to_lowercase());
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (first, last) = (sought.chars().next(), sought.chars().next_back());
    !words(&sought).is_empty()
        && text.match_indices(&sought).any(|(at, found)| {
            let before = text[..at].chars().next_back();
            let after = text[at + found.len()..].chars().next();
            !(inside(first) && inside(before) || inside(last) && inside(after))
        })
}

/// (sought, analyzer, mode, text, …) → boolean; NULL where nothing is known.
fn kernel(rows: &Rows) -> KernelResult {
    let sought = rows.texts(0)?;
    let whole = rows.texts(1)?.get(0) == Some("NO_OP_ANALYZER");
    let modes = rows.texts(2)?;
    let mode = modes.get(0).unwrap_or("OR");
    let texts = (3..rows.inputs.len()).map(|i| rows.texts(i)).collect::<KernelResult<Vec<_>>>()?;
    let list = sought.get(0).map(words).unwrap_or_default();
    rows.build_booleans(|row| {
        let Some(sought) = sought.get(row) else { return Ok(None) };
        let mut known = false;
        for text in &texts {
            let Some(text) = text.get(row) else { continue };
            known = true;
            let found = match mode {
                _ if whole => text == sought,
                "EXACT" => holds_exactly(sought, text),
                mode => matches(mode, &list, text),
            };
            if found {
                return Ok(Some(true));
            }
        }
        Ok(known.then_some(false))
    })
}
