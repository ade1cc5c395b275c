//! CLUSTER BY: keys as columns that rows are sorted by, and what SYSTEM$CLUSTERING_INFORMATION
//! tells of them.

use frazil_catalog::{ColumnInfo, TableInfo, TableKind};
use frazil_common::{Code, Privilege, SqlType, TimeZoneKind, UserError, quote_identifier};
use frazil_dialect::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, VisitMut, VisitorMut,
};
use frazil_governance::Requirement;
use frazil_lake::Clustering;

use crate::resolve::objects::{parents_of, table_object};
use crate::resolve::policies::{hides_columns, hides_values};
use crate::resolve::relation::target_table;
use crate::statements::context::{StatementContext, Work};

/// Depths that the histogram shows one by one.
const DEPTHS_SHOWN: usize = 16;

/// CLUSTER BY as the lake keeps it; none for no keys.
///
/// # Errors
/// A key that is no column, nor an expression that keeps the order of one.
pub(crate) fn clustering(
    keys: &[Expr],
    columns: &[ColumnInfo],
) -> Result<Option<Clustering>, UserError> {
    if keys.is_empty() {
        return Ok(None);
    }
    let mut sorted = Vec::with_capacity(keys.len());
    for key in keys {
        let name = ordered_column(key)?;
        let column = columns
            .iter()
            .find(|column| column.name == name)
            .ok_or_else(|| UserError::invalid_identifier(quote_identifier(&name)))?;
        check_type(column)?;
        sorted.push(name);
    }
    let texts: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Ok(Some(Clustering { text: format!("LINEAR({})", texts.join(", ")), columns: sorted }))
}

/// The text of keys with another name for a column; none where the text does not name it.
pub(crate) fn renamed(text: &str, from: &str, to: &str) -> Option<String> {
    let mut keys = frazil_dialect::parse_expression(text).ok()?;
    let mut names = Names { from, to, found: false };
    // The visitor never breaks off.
    let _ = VisitMut::visit(&mut keys, &mut names);
    names.found.then(|| keys.to_string())
}

struct Names<'a> {
    from: &'a str,
    to: &'a str,
    found: bool,
}

impl VisitorMut for Names<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> std::ops::ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && column_name(name) == self.from
        {
            self.found = true;
            *name = match quote_identifier(self.to) == self.to {
                true => Ident::new(self.to),
                false => Ident::with_quote('"', self.to),
            };
        }
        std::ops::ControlFlow::Continue(())
    }
}

fn column_name(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => frazil_common::fold_identifier(&name.value),
    }
}

fn check_type(column: &ColumnInfo) -> Result<(), UserError> {
    let sorts = match &column.sql_type {
        SqlType::Timestamp { zone, .. } => *zone != TimeZoneKind::Tz,
        SqlType::Vector { .. } => false,
        other => !other.is_semi_structured(),
    };
    match sorts && column.is_written() {
        true => Ok(()),
        false => Err(UserError::unsupported(format!(
            "CLUSTER BY column {} of type {}",
            quote_identifier(&column.name),
            column.sql_type
        ))),
    }
}

/// The column whose order an expression keeps: rows sorted by the column are sorted by it too.
fn ordered_column(key: &Expr) -> Result<String, UserError> {
    let refused = || {
        UserError::unsupported(format!(
            "CLUSTER BY {key}: an expression that does not keep the order of a column"
        ))
    };
    match key {
        Expr::Identifier(name) => Ok(column_name(name)),
        Expr::Nested(inner) => ordered_column(inner),
        // Numbers as text have another order, dates do not.
        Expr::Cast { expr, data_type, .. } => {
            match data_type.to_string().to_ascii_uppercase().as_str() {
                "DATE" => ordered_column(expr),
                _ => Err(refused()),
            }
        }
        Expr::Floor { expr, .. } | Expr::Ceil { expr, .. } => ordered_column(expr),
        Expr::Substring { expr, substring_from, .. } => {
            if substring_from.as_ref().is_some_and(|from| is_start(from)) {
                ordered_column(expr)
            } else {
                Err(refused())
            }
        }
        Expr::Function(function) => ordered_argument(function).ok_or_else(refused)?,
        _ => Err(refused()),
    }
}

fn ordered_argument(function: &Function) -> Option<Result<String, UserError>> {
    let [part] = function.name.0.as_slice() else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments: Vec<&Expr> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let name = part.as_ident()?.value.to_ascii_uppercase();
    let kept = match (name.as_str(), arguments.as_slice()) {
        ("TO_DATE" | "DATE" | "YEAR" | "FLOOR" | "CEIL" | "ROUND" | "TRUNC" | "TRUNCATE", [of]) => {
            of
        }
        ("LEFT" | "TRUNC" | "TRUNCATE" | "ROUND", [of, _]) => of,
        ("DATE_TRUNC", [_, of]) => of,
        ("SUBSTR" | "SUBSTRING", [of, first, _]) if is_start(first) => of,
        _ => return None,
    };
    Some(ordered_column(kept))
}

/// Whether a part of a text begins where the text does: positions 0 and 1 are the same one.
fn is_start(position: &Expr) -> bool {
    matches!(position.to_string().as_str(), "0" | "1")
}

/// Refuses keys whose values policies keep from the role: rows that it puts among the others, and the order
/// in which all are read back, would tell them.
///
/// # Errors
/// 003001.
pub(crate) async fn refuse_hidden_keys(
    context: &StatementContext,
    work: &mut Work,
    table: &TableInfo,
    keys: Option<&Clustering>,
) -> Result<(), UserError> {
    let Some(keys) = keys.filter(|_| table.kind != TableKind::Temporary) else { return Ok(()) };
    let view = work.lake()?.view().clone();
    let account = context.shared.accounts.view().await?;
    match hides_columns(context, &account, &view, table, &keys.columns).await? {
        true => Err(UserError::new(
            Code::InsufficientPrivileges,
            format!(
                "Insufficient privileges to cluster table '{}': policies hide values of a key from the role.",
                table.name
            ),
        )),
        false => Ok(()),
    }
}

/// The answer of SYSTEM$CLUSTERING_INFORMATION.
///
/// # Errors
/// The table is not there or not to be read, policies hide values of it from the role, or it has no key and
/// none is given.
pub(crate) async fn information(
    context: &StatementContext,
    work: &mut Work,
    table: &str,
    keys: Option<&str>,
) -> Result<String, UserError> {
    let name = frazil_dialect::parse_object_name_text(table)?;
    let table = target_table(context, work, &name)?;
    let view = work.lake()?.view().clone();
    if table.kind != TableKind::Temporary {
        context.authorize(&[Requirement::new(
            table_object(&table),
            parents_of(&view, &table.name),
            Privilege::Select,
        )])?;
        // How the files' bounds overlap tells of values that policies hide, once the role puts rows of its
        // own beside them.
        let account = context.shared.accounts.view().await?;
        if hides_values(context, &account, &view, &table).await? {
            return Err(UserError::new(
                Code::InsufficientPrivileges,
                format!(
                    "Insufficient privileges to see the clustering of table '{}': policies hide some of its \
                     values from the role.",
                    table.name
                ),
            ));
        }
    }
    let (text, columns) = match keys {
        Some(keys) => {
            // A list in parentheses, or one key.
            let parsed = frazil_dialect::parse_expression(keys)?;
            let keys = match parsed {
                Expr::Tuple(keys) => keys,
                Expr::Nested(key) => vec![*key],
                key => vec![key],
            };
            let clustering = clustering(&keys, &table.columns)?;
            clustering.map(|found| (found.text, found.columns)).unwrap_or_default()
        }
        None => own_keys(&table)?,
    };
    let found = context.shared.lake.clustering_information(&table, &columns).await?;
    let rounded = |value: f64| (value * 10_000.0).round() / 10_000.0;
    let mut depths = serde_json::Map::new();
    let mut last = DEPTHS_SHOWN;
    for depth in 0..=DEPTHS_SHOWN {
        let exact = found.depths.iter().find(|(of, _)| *of == depth).map_or(0, |(_, count)| *count);
        depths.insert(format!("{depth:05}"), exact.into());
    }
    // Beyond, each step doubles the depth, as far as there are files.
    while found.depths.iter().any(|(depth, _)| *depth > last) {
        let next = last * 2;
        let within = found.depths.iter().filter(|(depth, _)| *depth > last && *depth <= next);
        depths.insert(format!("{next:05}"), within.map(|(_, count)| *count).sum::<usize>().into());
        last = next;
    }
    let answer = serde_json::json!({
        "cluster_by_keys": text,
        "total_partition_count": found.files,
        "total_constant_partition_count": found.constant_files,
        "average_overlaps": rounded(found.average_overlaps),
        "average_depth": rounded(found.average_depth),
        "partition_depth_histogram": depths,
    });
    serde_json::to_string_pretty(&answer).map_err(UserError::internal)
}

fn own_keys(table: &TableInfo) -> Result<(String, Vec<String>), UserError> {
    let columns: Vec<String> = table
        .sorted_columns()
        .into_iter()
        .map(|(place, _)| table.columns[place].name.clone())
        .collect();
    match &table.cluster_by {
        Some(text) if !columns.is_empty() => Ok((text.clone(), columns)),
        _ => Err(UserError::new(
            Code::InvalidArgument,
            format!(
                "Invalid clustering keys or table {} is not clustered",
                quote_identifier(&table.name.name)
            ),
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Result<Option<Clustering>, UserError> {
        let columns = [
            ColumnInfo::new("A", SqlType::Float, true),
            ColumnInfo::new("b c", SqlType::TIMESTAMP_NTZ, true),
            ColumnInfo::new("V", SqlType::Variant, true),
        ];
        let keys: Vec<Expr> =
            text.split(';').map(|key| frazil_dialect::parse_expression(key).unwrap()).collect();
        clustering(&keys, &columns)
    }

    #[test]
    fn keys_come_to_the_columns_whose_order_they_keep() {
        let found =
            keys("a; TO_DATE(\"b c\"); date_trunc('hour', \"b c\"); trunc(a, 2)").unwrap().unwrap();
        assert_eq!(found.columns, ["A", "b c", "b c", "A"]);
        assert!(found.text.starts_with("LINEAR(a, TO_DATE(\"b c\"), "), "{}", found.text);
        assert!(clustering(&[], &[]).unwrap().is_none());
        for refused in ["MOD(a, 10)", "v:x::INT", "v", "-a", "a::VARCHAR", "SUBSTR(a, 2, 3)"] {
            assert_eq!(keys(refused).unwrap_err().code, Code::Unsupported, "{refused}");
        }
        assert_eq!(keys("nope").unwrap_err().code, Code::InvalidIdentifier);
    }

    #[test]
    fn a_renamed_column_keeps_what_is_made_of_it() {
        let text = "LINEAR(a, TO_DATE(\"b c\"), trunc(A, 2))";
        let after = renamed(text, "A", "x").unwrap();
        assert_eq!(after, "LINEAR(\"x\", TO_DATE(\"b c\"), trunc(\"x\", 2))");
        assert_eq!(
            renamed(&after, "b c", "D").unwrap(),
            "LINEAR(\"x\", TO_DATE(D), trunc(\"x\", 2))"
        );
        assert_eq!(renamed(text, "LINEAR", "X"), None);
    }
}
