//! Views that DuckDB made. Its dialect gives other rows for some texts that this one takes too: division,
//! places in lists, escapes in strings, NULLs in order. What is read is what means the same in both.

use std::ops::ControlFlow;

use frazil_catalog::objects::ViewInfo;
use frazil_common::{Column, UserError};
use frazil_dialect::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Ident, JoinConstraint, JoinOperator, ObjectNamePart, OrderByKind, Query, Select, SelectItem,
    SetExpr, SetQuantifier, TableFactor, UnaryOperator, Value, Visit, VisitMut, Visitor,
    VisitorMut, WildcardAdditionalOptions,
};

/// Functions that are the same in both dialects.
const FUNCTIONS: [&str; 9] =
    ["COUNT", "SUM", "MIN", "MAX", "COALESCE", "NULLIF", "UPPER", "LOWER", "ABS"];
/// What DuckDB calls COUNT(*).
const COUNT_ALL: &str = "count_star";

/// The query of a view.
///
/// # Errors
/// DuckDB made the view, and its text may mean something else here; the error names it.
pub(crate) fn view_query(info: &ViewInfo) -> Result<Box<Query>, UserError> {
    if info.foreign.is_none() {
        return frazil_dialect::parse_query(&info.text);
    }
    let refuse = |what: String| {
        UserError::unsupported(format!(
            "view {}, which DuckDB made: {what}. Create it here instead",
            info.name
        ))
    };
    // In its strings it is a character as others are.
    if info.text.contains('\\') {
        return Err(refuse("a backslash means something else in its dialect".to_string()));
    }
    let mut query = frazil_dialect::parse_query(&info.text)
        .map_err(|error| refuse(format!("its text is none of this dialect ({})", error.message)))?;
    if let ControlFlow::Break(what) = query.visit(&mut Same) {
        return Err(refuse(format!("{what} may mean something else in its dialect")));
    }
    let _ = VisitMut::visit(&mut query, &mut CountAll);
    Ok(query)
}

/// A view's text as it is read here.
///
/// # Errors
/// As [`view_query`].
pub(crate) fn view_text(info: &ViewInfo) -> Result<String, UserError> {
    match &info.foreign {
        None => Ok(info.text.clone()),
        Some(_) => Ok(view_query(info)?.to_string()),
    }
}

/// The columns that a view declares; those of its query, where DuckDB made it.
pub(crate) fn declared(info: &ViewInfo, found: &[Column]) -> Vec<Column> {
    let Some(foreign) = &info.foreign else { return info.columns.clone() };
    let mut columns = found.to_vec();
    // There may be fewer names than columns.
    for (column, name) in columns.iter_mut().zip(foreign.names()) {
        column.name = name;
    }
    columns
}

/// Breaks at what may not be the same in both dialects.
struct Same;

type Found = ControlFlow<String>;

fn found(what: impl ToString) -> Found {
    ControlFlow::Break(what.to_string())
}

fn is_plain(options: &WildcardAdditionalOptions) -> bool {
    options.to_string().is_empty()
}

fn check_body(body: &SetExpr) -> Found {
    match body {
        SetExpr::Select(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::Query(query) => check_body(&query.body),
        SetExpr::SetOperation { left, right, set_quantifier, op: _ } => {
            let plain = [SetQuantifier::None, SetQuantifier::All, SetQuantifier::Distinct];
            if !plain.contains(set_quantifier) {
                return found(set_quantifier);
            }
            check_body(left)?;
            check_body(right)
        }
        other => found(other),
    }
}

fn is_same_join(operator: &JoinOperator) -> bool {
    let on = match operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on)
        | JoinOperator::CrossJoin(on) => on,
        _ => return false,
    };
    matches!(on, JoinConstraint::On(_) | JoinConstraint::None)
}

impl Visitor for Same {
    type Break = String;

    fn pre_visit_query(&mut self, query: &Query) -> Found {
        if query.fetch.is_some() || !query.locks.is_empty() || query.for_clause.is_some() {
            return found("FETCH or FOR");
        }
        check_body(&query.body)?;
        let Some(order) = &query.order_by else { return ControlFlow::Continue(()) };
        let OrderByKind::Expressions(keys) = &order.kind else { return found("ORDER BY ALL") };
        for key in keys {
            // Without a word NULLs are last there.
            if key.options.asc == Some(false) && key.options.nulls_first.is_none() {
                return found(format!("ORDER BY {key}"));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        let rare = select.top.is_some()
            || select.into.is_some()
            || select.qualify.is_some()
            || !select.named_window.is_empty()
            || !select.lateral_views.is_empty()
            || !select.connect_by.is_empty()
            || matches!(select.distinct, Some(Distinct::On(_)));
        let groups = match &select.group_by {
            GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers) => {
                modifiers.is_empty()
            }
        };
        if rare || !groups {
            return found("a clause of its SELECT");
        }
        for item in &select.projection {
            let same = match item {
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => true,
                SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => {
                    is_plain(options)
                }
                SelectItem::ExprWithAliases { .. } => false,
            };
            if !same {
                return found(item);
            }
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if join.global || !is_same_join(&join.join_operator) {
                return found(join);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Found {
        let same = match factor {
            TableFactor::Table { args, version, sample, with_ordinality, .. } => {
                args.is_none() && version.is_none() && sample.is_none() && !with_ordinality
            }
            TableFactor::Derived { lateral, sample, .. } => !lateral && sample.is_none(),
            TableFactor::NestedJoin { table_with_joins, .. } => {
                table_with_joins.joins.iter().all(|join| is_same_join(&join.join_operator))
            }
            _ => false,
        };
        if same { ControlFlow::Continue(()) } else { found(factor) }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Found {
        let same = match expr {
            Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::Nested(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::Case { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_) => true,
            Expr::Value(value) => matches!(
                &value.value,
                Value::Number(..) | Value::Boolean(_) | Value::Null | Value::SingleQuotedString(_)
            ),
            Expr::UnaryOp { op, .. } => {
                matches!(op, UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus)
            }
            Expr::BinaryOp { op, .. } => matches!(
                op,
                BinaryOperator::Plus
                    | BinaryOperator::Minus
                    | BinaryOperator::Multiply
                    | BinaryOperator::Eq
                    | BinaryOperator::NotEq
                    | BinaryOperator::Lt
                    | BinaryOperator::LtEq
                    | BinaryOperator::Gt
                    | BinaryOperator::GtEq
                    | BinaryOperator::And
                    | BinaryOperator::Or
            ),
            Expr::Function(function) => {
                let name = match function.name.0.as_slice() {
                    [ObjectNamePart::Identifier(name)] => name.value.as_str(),
                    _ => "",
                };
                let known = name.eq_ignore_ascii_case(COUNT_ALL)
                    || FUNCTIONS.iter().any(|own| own.eq_ignore_ascii_case(name));
                let plain = function.filter.is_none()
                    && function.over.is_none()
                    && function.within_group.is_empty()
                    && function.null_treatment.is_none();
                let arguments = match &function.args {
                    FunctionArguments::List(list) => {
                        list.clauses.is_empty()
                            && list.args.iter().all(|arg| matches!(arg, FunctionArg::Unnamed(_)))
                    }
                    _ => false,
                };
                known && plain && arguments
            }
            _ => false,
        };
        if same { ControlFlow::Continue(()) } else { found(expr) }
    }
}

/// Writes COUNT(*) as it is written here.
struct CountAll;

impl VisitorMut for CountAll {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && function.name.to_string().eq_ignore_ascii_case(COUNT_ALL)
            && let FunctionArguments::List(list) = &mut function.args
            && list.args.is_empty()
        {
            function.name = vec![Ident::new("COUNT")].into();
            list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
        }
        ControlFlow::Continue(())
    }
}
