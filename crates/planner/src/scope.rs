//! Names visible to expressions: relations, their columns, and the select list's aliases.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column as PlanColumn, DFSchema, DFSchemaRef};
use datafusion::logical_expr::{Expr, LogicalPlan};
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Ident};

use crate::error::{Result, position};
use crate::names::{fold, shown};

/// A relation of a FROM clause as names qualify it.
#[derive(Debug, Clone)]
pub(crate) struct ScopeRelation {
    /// The alias alone, or database, schema and name.
    pub parts: Vec<String>,
}

impl ScopeRelation {
    fn matches(&self, qualifier: &[String]) -> bool {
        self.parts.len() >= qualifier.len()
            && self.parts[self.parts.len() - qualifier.len()..] == *qualifier
    }
}

/// A column of a FROM clause.
#[derive(Debug, Clone)]
pub(crate) struct ScopeColumn {
    /// Index in [`Scope::relations`]; none for the merged columns of USING.
    pub relation: Option<usize>,
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    pub expr: Expr,
    /// Whether `*` shows it.
    pub in_star: bool,
    /// Whether the bare name finds it; the sides of USING are found by qualified names only.
    pub bare: bool,
    /// Entries of [`crate::binder::Binder::uses`] and the columns of those relations it reads.
    pub uses: Vec<(usize, String)>,
}

impl ScopeColumn {
    pub fn typed(&self) -> TypedExpr {
        TypedExpr::new(self.expr.clone(), self.sql_type.clone(), self.nullable)
    }
}

/// The columns of a FROM clause.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub relations: Vec<ScopeRelation>,
    pub columns: Vec<ScopeColumn>,
    /// Fields of the plan the columns' expressions refer to.
    pub schema: DFSchemaRef,
    /// Row number from 0, which SEQ4() and its like stand for.
    pub sequence: Option<Expr>,
    /// Set when SEQ4() or its like was bound and the select must number its rows.
    pub wants_row_number: Cell<bool>,
}

/// Name of the column that numbers the rows of a select for SEQ4().
pub(crate) const ROW_NUMBER: &str = "\0row_number";

impl Scope {
    pub fn empty() -> Self {
        Scope {
            relations: Vec::new(),
            columns: Vec::new(),
            schema: Arc::new(DFSchema::empty()),
            sequence: None,
            wants_row_number: Cell::new(false),
        }
    }

    /// Both sides' relations and columns, over a plan that joins them.
    pub fn joined(left: Scope, right: Scope, plan: &LogicalPlan) -> Scope {
        let Scope { mut relations, mut columns, schema: _, sequence, wants_row_number } = left;
        let offset = relations.len();
        let sequence = if right.columns.is_empty() { sequence.or(right.sequence) } else { None };
        relations.extend(right.relations);
        columns.extend(right.columns.into_iter().map(|mut column| {
            column.relation = column.relation.map(|index| index + offset);
            column
        }));
        Scope { relations, columns, schema: plan.schema().clone(), sequence, wants_row_number }
    }

    pub fn set_nullable(&mut self) {
        for column in &mut self.columns {
            column.nullable = true;
        }
    }

    /// The index of the column a name stands for, if there is one here.
    pub fn find(&self, idents: &[Ident]) -> Result<Option<usize>> {
        let Some((last, qualifier)) = idents.split_last() else { return Ok(None) };
        let qualifier: Vec<String> = qualifier.iter().map(fold).collect();
        if let Some(index) = positional(last) {
            return self.find_position(&qualifier, index, idents);
        }
        let name = fold(last);
        let mut found = None;
        for (index, column) in self.columns.iter().enumerate() {
            if column.name != name {
                continue;
            }
            let visible = if qualifier.is_empty() {
                column.bare
            } else {
                column.relation.is_some_and(|r| self.relations[r].matches(&qualifier))
            };
            if visible && found.replace(index).is_some() {
                return Err(UserError::new(
                    Code::AmbiguousColumn,
                    format!("ambiguous column name '{}'", shown(idents)),
                )
                .at(position(last.span))
                .into());
            }
        }
        Ok(found)
    }

    /// `$2` and `t.$2`: columns by their place in a relation.
    fn find_position(
        &self,
        qualifier: &[String],
        place: usize,
        idents: &[Ident],
    ) -> Result<Option<usize>> {
        let mut relations = (0..self.relations.len())
            .filter(|r| qualifier.is_empty() || self.relations[*r].matches(qualifier));
        let Some(relation) = relations.next() else { return Ok(None) };
        if relations.next().is_some() && !qualifier.is_empty() {
            return Err(UserError::new(
                Code::AmbiguousColumn,
                format!("ambiguous column name '{}'", shown(idents)),
            )
            .into());
        }
        let own = || {
            let columns = self.columns.iter().enumerate();
            columns.filter(|(_, column)| column.relation == Some(relation))
        };
        let shown = own().filter(|(_, column)| column.in_star).nth(place.saturating_sub(1));
        // Files of a stage have more positions than they show.
        let hidden = || {
            let name = format!("${place}");
            own().find(|(_, column)| !column.in_star && column.name == name)
        };
        Ok(shown.or_else(hidden).map(|(index, _)| index))
    }

    /// Indexes of the relations a qualifier stands for.
    pub fn relations_named(&self, idents: &[Ident]) -> Vec<usize> {
        let qualifier: Vec<String> = idents.iter().map(fold).collect();
        (0..self.relations.len()).filter(|r| self.relations[*r].matches(&qualifier)).collect()
    }

    /// The expression of a column as a subquery of this scope sees it.
    pub fn outer(&self, expr: Expr) -> Result<Expr> {
        Ok(expr
            .transform_up(|node| match node {
                Expr::Column(column) => {
                    let (_, field) = self.schema.qualified_field_from_column(&column)?;
                    Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), column)))
                }
                other => Ok(Transformed::no(other)),
            })
            .data()?)
    }

    /// The name of a plan column, for messages.
    pub fn name_of(&self, column: &PlanColumn) -> String {
        let known = self.columns.iter().find(|c| matches!(&c.expr, Expr::Column(p) if p == column));
        match known {
            Some(ScopeColumn { relation: Some(relation), name, .. }) => {
                let parts = &self.relations[*relation].parts;
                match parts.last() {
                    Some(alias) if !alias.is_empty() => format!("{alias}.{name}"),
                    _ => name.clone(),
                }
            }
            Some(column) => column.name.clone(),
            None => column.name.clone(),
        }
    }
}

/// The number of a positional column such as `$2`.
pub(crate) fn positional(ident: &Ident) -> Option<usize> {
    match ident.quote_style {
        None => ident.value.strip_prefix('$')?.parse().ok(),
        Some(_) => None,
    }
}

/// One alias of a select list, bound when first used.
#[derive(Debug, Clone)]
pub(crate) enum AliasState {
    Unbound(ast::Expr),
    Binding,
    Bound(TypedExpr),
}

/// The aliases of a select list.
pub(crate) type Aliases = RefCell<HashMap<String, AliasState>>;

/// What an expression may use where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Env {
    pub scope: Rc<Scope>,
    pub aliases: Option<Rc<Aliases>>,
    pub windows: Rc<HashMap<String, ast::NamedWindowExpr>>,
    pub allow_aggregates: bool,
    pub allow_windows: bool,
    /// The clause, for messages.
    pub clause: &'static str,
    /// What becomes of the expression's truth where the clause is a filter.
    pub truth: Truth,
}

/// Where an expression stands in a filter: whether a value that is not known may count as FALSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// The filter, or one of its conjuncts.
    Conjunct,
    /// Below OR, and nothing else but AND and OR.
    Disjunct,
    /// Anywhere else: it is a value like any other.
    Value,
}

impl Env {
    pub fn new(scope: Rc<Scope>, clause: &'static str) -> Self {
        Env {
            scope,
            aliases: None,
            windows: Rc::default(),
            allow_aggregates: false,
            allow_windows: false,
            clause,
            truth: Truth::Conjunct,
        }
    }

    /// The same for what stands below an expression.
    pub fn with_truth(&self, truth: Truth) -> Env {
        Env { truth, ..self.clone() }
    }

    /// Whether the expression is in a filter, where EXISTS is planned as a join. So is IN where its NULL
    /// counts as FALSE.
    pub fn is_filter(&self) -> bool {
        matches!(self.clause, "WHERE" | "HAVING" | "QUALIFY" | "ON")
    }
}
