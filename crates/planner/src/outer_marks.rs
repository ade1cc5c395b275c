//! Outer joins written as `a.x = b.y(+)` in WHERE, rewritten as LEFT JOIN.

use std::ops::ControlFlow;

use frazil_common::{Code, UserError};
use sqlparser::ast::{
    BinaryOperator, Expr as Syntax, Ident, Join, JoinConstraint, JoinOperator, Spanned,
    TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};

use crate::asof::conjunction;
use crate::error::{Result, position};
use crate::names::{fold, identifiers};

/// FROM and WHERE without marks.
#[derive(Debug)]
pub(crate) struct Unmarked {
    pub from: Vec<TableWithJoins>,
    pub selection: Option<Syntax>,
    /// Names of the tables in the order they were written, which `*` keeps.
    pub order: Vec<String>,
}

/// The columns of a term: qualifiers of those with `(+)` and of those without.
#[derive(Default)]
struct Columns {
    marked: Vec<String>,
    plain: Vec<String>,
    /// A marked column without a qualifier.
    bare: Option<Ident>,
    inside: usize,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Syntax) -> ControlFlow<()> {
        match expr {
            Syntax::OuterJoin(_) => self.inside += 1,
            Syntax::Identifier(ident) if self.inside > 0 => self.bare = Some(ident.clone()),
            Syntax::CompoundIdentifier(idents) => {
                if let [.., table, _] = idents.as_slice() {
                    let list = if self.inside > 0 { &mut self.marked } else { &mut self.plain };
                    list.push(fold(table));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &Syntax) -> ControlFlow<()> {
        if matches!(expr, Syntax::OuterJoin(_)) {
            self.inside -= 1;
        }
        ControlFlow::Continue(())
    }
}

struct Strip;

impl VisitorMut for Strip {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Syntax) -> ControlFlow<()> {
        if let Syntax::OuterJoin(inner) = expr {
            *expr = inner.as_ref().clone();
        }
        ControlFlow::Continue(())
    }
}

/// A table that is joined if it has rows that fit.
struct Optional {
    name: String,
    needs: Vec<String>,
    on: Syntax,
}

/// FROM and WHERE with the marks written as joins; `None` if there is no mark.
pub(crate) fn unmarked(
    from: &[TableWithJoins],
    selection: Option<&Syntax>,
) -> Result<Option<Unmarked>> {
    let Some(selection) = selection else { return Ok(None) };
    let mut optional: Vec<Optional> = Vec::new();
    let mut rest: Option<Syntax> = None;
    for term in conjunction(selection) {
        let mut columns = Columns::default();
        let _ = term.visit(&mut columns);
        if let Some(ident) = columns.bare {
            return Err(UserError::unsupported(format!(
                "(+) of {} without its table",
                ident.value
            ))
            .at(position(ident.span))
            .into());
        }
        let Some(name) = columns.marked.first().cloned() else {
            rest = Some(both(rest, term.clone()));
            continue;
        };
        if columns.marked.iter().any(|other| *other != name) {
            return Err(invalid("(+) marks columns of two tables in one condition", term));
        }
        let mut term = term.clone();
        let _ = VisitMut::visit(&mut term, &mut Strip);
        match optional.iter_mut().find(|known| known.name == name) {
            Some(known) => {
                known.needs.extend(columns.plain);
                known.on = both(Some(known.on.clone()), term);
            }
            None => optional.push(Optional { name, needs: columns.plain, on: term }),
        }
    }
    if optional.is_empty() {
        return Ok(None);
    }
    let order: Vec<String> = from.iter().map(|item| table_name(&item.relation)).collect();
    let mut placed: Vec<String> = Vec::new();
    let mut joined: Option<TableWithJoins> = None;
    let mut waiting: Vec<TableFactor> = Vec::new();
    for item in from {
        let name = table_name(&item.relation);
        if optional.iter().any(|known| known.name == name) && item.joins.is_empty() {
            waiting.push(item.relation.clone());
            continue;
        }
        placed.push(name);
        placed.extend(item.joins.iter().map(|join| table_name(&join.relation)));
        match &mut joined {
            None => joined = Some(item.clone()),
            Some(all) => {
                let operator = JoinOperator::CrossJoin(JoinConstraint::None);
                all.joins.push(join(item.relation.clone(), operator));
                all.joins.extend(item.joins.iter().cloned());
            }
        }
    }
    let Some(mut joined) = joined else {
        return Err(invalid("(+) marks every table of FROM", selection));
    };
    while !optional.is_empty() {
        let next = optional.iter().position(|known| {
            known.needs.iter().all(|need| *need == known.name || placed.contains(need))
        });
        let Some(next) = next else {
            return Err(invalid("the conditions with (+) join tables in a circle", selection));
        };
        let Optional { name, needs: _, on } = optional.remove(next);
        let Some(at) = waiting.iter().position(|table| table_name(table) == name) else {
            return Err(UserError::invalid_identifier(name).at(position(on.span())).into());
        };
        let operator = JoinOperator::LeftOuter(JoinConstraint::On(on));
        joined.joins.push(join(waiting.remove(at), operator));
        placed.push(name);
    }
    Ok(Some(Unmarked { from: vec![joined], selection: rest, order }))
}

fn join(relation: TableFactor, join_operator: JoinOperator) -> Join {
    Join { relation, global: false, join_operator }
}

fn both(left: Option<Syntax>, right: Syntax) -> Syntax {
    match left {
        None => right,
        Some(left) => Syntax::BinaryOp {
            left: Box::new(left),
            op: BinaryOperator::And,
            right: Box::new(right),
        },
    }
}

fn invalid(message: &str, at: &Syntax) -> crate::error::PlannerError {
    UserError::new(Code::InvalidStatement, message).at(position(at.span())).into()
}

/// The name that qualifies a table's columns.
fn table_name(factor: &TableFactor) -> String {
    let alias = match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. } => alias.as_ref(),
        _ => None,
    };
    match (alias, factor) {
        (Some(alias), _) => fold(&alias.name),
        (None, TableFactor::Table { name, .. }) => {
            let idents = identifiers(name).unwrap_or_default();
            idents.last().map(fold).unwrap_or_default()
        }
        _ => String::new(),
    }
}
