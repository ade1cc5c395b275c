//! State of one planning run.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::{Column as PlanColumn, TableReference};
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, SubqueryAlias};
use frazil_common::hidden::{MARK, is_hidden};
use frazil_common::{Access, Code, Column, ObjectRef, Privilege, SqlType, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Spanned, Visit, Visitor};

use crate::error::{PlannerError, Result, position};
use crate::names;
use crate::plan_size::PlanSizes;
use crate::relation::{PlanContext, Planned, Relation};
use crate::scope::{Env, Scope, ScopeColumn, ScopeRelation};
use crate::source_text::SourceText;

/// A planned query: the plan's output fields in the order of the columns.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub plan: LogicalPlan,
    pub columns: Vec<Column>,
}

impl Bound {
    /// The columns as expressions over the plan.
    pub fn outputs(&self) -> Vec<TypedExpr> {
        self.columns
            .iter()
            .zip(self.plan.schema().columns())
            .map(|(column, field)| {
                TypedExpr::new(Expr::Column(field), column.sql_type.clone(), column.nullable)
            })
            .collect()
    }
}

/// One use of a resolved relation.
#[derive(Debug)]
pub(crate) struct RelationUse {
    pub object: Option<ObjectRef>,
    pub columns: BTreeSet<String>,
    pub accesses: Vec<Access>,
}

/// A common table expression in scope.
#[derive(Debug, Clone)]
pub(crate) enum Cte {
    Planned(Rc<Bound>),
    /// Inside its own recursive term: the rows of the previous step.
    WorkTable {
        name: String,
        columns: Vec<Column>,
        schema: arrow::datatypes::SchemaRef,
    },
}

/// An alias such as that of `RANDOM() AS r`, computed into a column of its own.
#[derive(Debug, Clone)]
pub(crate) struct VolatileAlias {
    pub alias: String,
    pub expr: Expr,
    pub column: String,
}

/// Plans one statement.
pub(crate) struct Binder<'a> {
    pub ctx: PlanContext<'a>,
    counter: usize,
    /// Scopes of the queries around the one being planned, outermost first.
    pub outer: Vec<Rc<Scope>>,
    /// Common table expressions, innermost WITH last.
    pub ctes: Vec<HashMap<String, Cte>>,
    pub uses: Vec<RelationUse>,
    /// Names of the fields of the relations so far in the FROM being planned.
    pub field_names: HashSet<String>,
    /// Aliases of the select being planned whose values differ from call to call: they are
    /// computed once per row, so that every use sees the same value.
    pub volatile: Vec<VolatileAlias>,
    /// Whether large aliases of the select being planned are computed once too. Not where it is
    /// grouped: there they may stand for what is grouped by.
    pub large_aliases_apart: bool,
    /// Expressions around the one being bound.
    pub expr_depth: usize,
    /// Nodes of all large expressions bound so far.
    pub large_nodes: usize,
    pub plan_sizes: PlanSizes,
    /// Models and sequences used.
    pub other_accesses: Vec<Access>,
    pub source: SourceText,
}

impl<'a> Binder<'a> {
    pub fn new(ctx: &PlanContext<'a>) -> Self {
        Binder {
            ctx: *ctx,
            counter: 0,
            outer: Vec::new(),
            ctes: Vec::new(),
            uses: Vec::new(),
            field_names: HashSet::new(),
            volatile: Vec::new(),
            large_aliases_apart: false,
            expr_depth: 0,
            large_nodes: 0,
            plan_sizes: PlanSizes::default(),
            other_accesses: Vec::new(),
            source: SourceText::new(ctx.source),
        }
    }

    /// A name no other part of the plan has.
    pub fn unique(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{}", self.counter)
    }

    /// The same for a column: no column that a user names has it either.
    pub fn unique_column(&mut self, prefix: &str) -> String {
        format!("{MARK}{}", self.unique(prefix))
    }

    /// The accesses of everything planned so far.
    pub fn accesses(&self) -> Vec<Access> {
        let mut all: Vec<Access> = Vec::new();
        let mut add = |access: Access| {
            let same = all.iter_mut().find(|known| {
                known.object == access.object
                    && known.privilege == access.privilege
                    && known.on_behalf_of == access.on_behalf_of
            });
            match same {
                Some(known) => {
                    for column in access.columns {
                        if !known.columns.contains(&column) {
                            known.columns.push(column);
                        }
                    }
                }
                None => all.push(access),
            }
        };
        for RelationUse { object, columns, accesses } in &self.uses {
            if let Some(object) = object {
                add(Access {
                    object: object.clone(),
                    privilege: Privilege::Select,
                    columns: columns.iter().cloned().collect(),
                    on_behalf_of: None,
                });
            }
            accesses.iter().cloned().for_each(&mut add);
        }
        self.other_accesses.iter().cloned().for_each(&mut add);
        all
    }

    /// Notes that an object other than a relation is used.
    pub fn note_usage(&mut self, object: &ObjectRef) {
        self.other_accesses.push(Access {
            object: object.clone(),
            privilege: Privilege::Usage,
            columns: Vec::new(),
            on_behalf_of: None,
        });
    }

    /// # Errors
    /// The plan has too many nodes.
    pub fn finish(&self, bound: Bound) -> Result<Planned> {
        self.plan_sizes.check(&bound.plan)?;
        Ok(Planned { plan: bound.plan, columns: bound.columns, accesses: self.accesses() })
    }

    /// Brings a resolved relation into scope under an alias.
    pub fn use_relation(
        &mut self,
        relation: &Relation,
        alias: Option<&ast::TableAlias>,
    ) -> Result<(LogicalPlan, Scope)> {
        let Relation { object, name, columns, plan, accesses, hidden } = relation;
        let usage = self.uses.len();
        self.uses.push(RelationUse {
            object: object.clone(),
            columns: BTreeSet::new(),
            accesses: accesses.clone(),
        });
        let parts = match name {
            Some(name) => vec![name.database.clone(), name.schema.clone(), name.name.clone()],
            None => vec![String::new()],
        };
        let names: Vec<String> =
            plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (plan, mut scope) =
            self.named_relation(plan.clone(), columns, parts, alias, Some(usage))?;
        let fields = plan.schema().columns();
        let first_hidden = fields.len().saturating_sub(*hidden);
        let hidden = fields.iter().zip(names).skip(first_hidden);
        // Files have metadata columns that users name; those of tables are for DML.
        for (field, name) in hidden.filter(|(_, name)| !is_hidden(name)) {
            let (_, arrow_field) = plan.schema().qualified_field_from_column(field)?;
            let Some(sql_type) = SqlType::of_field(arrow_field) else { continue };
            let mut expr = Expr::Column(field.clone());
            if *arrow_field.data_type() != sql_type.to_arrow() {
                expr = datafusion::logical_expr::cast(expr, sql_type.to_arrow());
            }
            scope.columns.push(ScopeColumn {
                relation: Some(0),
                name: name.clone(),
                sql_type,
                nullable: true,
                expr,
                in_star: false,
                bare: true,
                uses: vec![(usage, name)],
            });
        }
        Ok((plan, scope))
    }

    /// The plan with other names for those of its columns that a relation before it in the FROM has too.
    /// Operators know columns by their bare names: a filter on one of two of a name would be tried below on
    /// the other.
    fn with_own_names(
        &mut self,
        plan: LogicalPlan,
        internal: &TableReference,
    ) -> Result<LogicalPlan> {
        let taken = &mut self.field_names;
        let fields = plan.schema().fields();
        let plan = if fields.iter().any(|field| taken.contains(field.name())) {
            let own = |name: &str| match taken.contains(name) {
                true => (None, format!("{internal}.{name}")),
                false => (None, name.to_string()),
            };
            renamed(plan, own)?
        } else {
            plan
        };
        taken.extend(plan.schema().fields().iter().map(|field| field.name().clone()));
        Ok(plan)
    }

    /// Gives a plan's output a unique internal alias and the names users know it by.
    pub fn named_relation(
        &mut self,
        plan: LogicalPlan,
        columns: &[Column],
        parts: Vec<String>,
        alias: Option<&ast::TableAlias>,
        usage: Option<usize>,
    ) -> Result<(LogicalPlan, Scope)> {
        let internal = self.unique("r");
        let internal = TableReference::bare(internal);
        let plan = if self.outer.is_empty() {
            let plan = self.with_own_names(plan, &internal)?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(plan), internal)?)
        } else {
            let qualified = |name: &str| (Some(internal.clone()), format!("{internal}.{name}"));
            renamed(plan, qualified)?
        };
        let (parts, renamed) = alias_parts(alias, parts, columns.len())?;
        let fields = plan.schema().columns();
        let columns = columns
            .iter()
            .zip(fields)
            .enumerate()
            .map(|(index, (column, field))| ScopeColumn {
                relation: Some(0),
                name: renamed.get(index).unwrap_or(&column.name).clone(),
                sql_type: column.sql_type.clone(),
                nullable: column.nullable,
                expr: Expr::Column(field),
                in_star: true,
                bare: true,
                uses: usage.map(|usage| (usage, column.name.clone())).into_iter().collect(),
            })
            .collect();
        let scope = Scope {
            relations: vec![ScopeRelation { parts }],
            columns,
            schema: plan.schema().clone(),
            ..Scope::empty()
        };
        Ok((plan, scope))
    }

    /// Binds an expression that refers to no column, and computes it.
    pub fn constant(&mut self, expr: &ast::Expr, clause: &'static str) -> Result<TypedExpr> {
        if expr.visit(&mut Subquery).is_break() {
            let what = format!("Subquery in {clause}, which takes constant expressions only");
            let place = position(expr.span());
            return Err(UserError::new(Code::InvalidArgument, what).at(place).into());
        }
        let env = Env::new(Rc::new(Scope::empty()), clause);
        let outer = std::mem::take(&mut self.outer);
        let bound = self.expr(expr, &env);
        self.outer = outer;
        let bound = bound?;
        if matches!(clause, "AT" | "BEFORE") && bound.expr.is_volatile() {
            let what = format!("{clause} takes constant expressions only");
            let place = position(expr.span());
            return Err(UserError::new(Code::InvalidArgument, what).at(place).into());
        }
        let value = frazil_functions::evaluate_constant(&bound)?;
        Ok(TypedExpr::literal(value, bound.sql_type))
    }
}

struct Subquery;

impl Visitor for Subquery {
    type Break = ();

    fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// The plan with other names for its columns. In a subquery they are names that no other relation's columns
/// have: those by which it is tied to its outer row are told apart by names alone, and an alias around them
/// would hide them.
pub(crate) fn renamed(
    plan: LogicalPlan,
    name: impl Fn(&str) -> (Option<TableReference>, String),
) -> Result<LogicalPlan> {
    let named = |field: PlanColumn| {
        let (relation, name) = name(&field.name);
        Expr::Column(field).alias_qualified(relation, name)
    };
    let exprs = plan.schema().columns().into_iter().map(named).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))
}

/// The name parts and column names that an alias gives.
pub(crate) fn alias_parts(
    alias: Option<&ast::TableAlias>,
    parts: Vec<String>,
    column_count: usize,
) -> Result<(Vec<String>, Vec<String>)> {
    let Some(ast::TableAlias { explicit: _, name, columns, at }) = alias else {
        return Ok((parts, Vec::new()));
    };
    crate::error::refuse(at.is_some(), "AT in a table alias")?;
    let renamed = columns
        .iter()
        .map(|ast::TableAliasColumnDef { name, data_type }| {
            crate::error::refuse(data_type.is_some(), "types in a table alias")?;
            Ok(names::fold(name))
        })
        .collect::<Result<Vec<_>>>()?;
    if renamed.len() > column_count {
        return Err(PlannerError::from(UserError::new(
            frazil_common::Code::ColumnCountMismatch,
            format!(
                "table alias '{}' names {} columns, but there are {column_count}",
                names::fold(name),
                renamed.len()
            ),
        )));
    }
    Ok((vec![names::fold(name)], renamed))
}

impl Binder<'_> {
    /// Binds an expression over a relation's own fields; a clause of conditions makes it one.
    pub fn expression_over(
        &mut self,
        expr: &ast::Expr,
        relation: Option<&Relation>,
        clause: &'static str,
    ) -> Result<TypedExpr> {
        let scope = match relation {
            None => Scope::empty(),
            Some(relation) => {
                let Relation { object: _, name, columns, plan, accesses: _, hidden: _ } = relation;
                let parts = match name {
                    Some(name) => {
                        vec![name.database.clone(), name.schema.clone(), name.name.clone()]
                    }
                    None => vec![String::new()],
                };
                let columns = columns
                    .iter()
                    .zip(plan.schema().columns())
                    .map(|(column, field)| ScopeColumn {
                        relation: Some(0),
                        name: column.name.clone(),
                        sql_type: column.sql_type.clone(),
                        nullable: column.nullable,
                        expr: Expr::Column(field),
                        in_star: true,
                        bare: true,
                        uses: Vec::new(),
                    })
                    .collect();
                Scope {
                    relations: vec![ScopeRelation { parts }],
                    columns,
                    schema: plan.schema().clone(),
                    ..Scope::empty()
                }
            }
        };
        self.expr(expr, &Env::new(Rc::new(scope), clause))
    }
}
