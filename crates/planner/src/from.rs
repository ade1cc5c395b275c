//! FROM: tables, derived tables, comma lists.

use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::{JoinConstraint, JoinType, NullEquality};
use datafusion::logical_expr::{Join, LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use frazil_common::UserError;
use sqlparser::ast::{self, Spanned, TableFactor, TableWithJoins};

use crate::binder::{Binder, Cte, renamed};
use crate::error::{At, Result, position, refuse, unsupported};
use crate::expr::correlated::{Above, check, is_correlated};
use crate::expr::subquery::as_subquery;
use crate::names::{fold, identifiers};
use crate::relation::Reference;
use crate::scope::{Env, Scope};

/// Rows and the names their columns have.
#[derive(Debug)]
pub(crate) struct Input {
    pub plan: LogicalPlan,
    pub scope: Scope,
    /// Whether the right side of a join must be applied for each row of the left.
    pub lateral: bool,
}

impl Input {
    pub fn new((plan, scope): (LogicalPlan, Scope)) -> Self {
        Input { plan, scope, lateral: false }
    }
}

impl Binder<'_> {
    /// The rows of a FROM clause; a single row without columns if there is none.
    pub(crate) fn plan_from(&mut self, from: &[TableWithJoins]) -> Result<(LogicalPlan, Scope)> {
        let mut input: Option<Input> = None;
        for item in from {
            input = Some(self.add_item(input, item)?);
        }
        match input {
            Some(Input { plan, scope, lateral: _ }) => Ok((plan, scope)),
            None => Ok((LogicalPlanBuilder::empty(true).build()?, Scope::empty())),
        }
    }

    /// One more item of a comma list.
    fn add_item(&mut self, left: Option<Input>, item: &TableWithJoins) -> Result<Input> {
        let TableWithJoins { relation, joins } = item;
        let applies = is_applied(relation) || joins.iter().any(|join| is_applied(&join.relation));
        let Some(left) = left else {
            let first = self.factor(None, relation)?;
            return self.add_joins(first, joins);
        };
        if applies {
            // What is applied may refer to everything to its left in the list.
            let joined = self.cross(left, relation)?;
            return self.add_joins(joined, joins);
        }
        let right = self.factor(None, relation)?;
        let right = self.add_joins(right, joins)?;
        self.cross_join(left, right)
    }

    fn add_joins(&mut self, mut left: Input, joins: &[ast::Join]) -> Result<Input> {
        for join in joins {
            left = self.join(left, join)?;
        }
        Ok(left)
    }

    /// `left, factor`.
    pub(crate) fn cross(&mut self, left: Input, factor: &TableFactor) -> Result<Input> {
        if is_table_function(factor) {
            return self.factor(Some(left), factor);
        }
        let left = match self.lateral_row(left, factor)? {
            Ok(joined) => return Ok(joined),
            Err(left) => left,
        };
        let right = self.factor_beside(&left, factor)?;
        self.cross_join(left, right)
    }

    pub(crate) fn cross_join(&mut self, left: Input, right: Input) -> Result<Input> {
        let plan = LogicalPlan::Join(Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            Vec::new(),
            None,
            JoinType::Inner,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            false,
        )?);
        let scope = Scope::joined(left.scope, right.scope, &plan);
        Ok(Input { plan, scope, lateral: false })
    }

    /// A factor that may look at the columns of what stands to its left.
    pub(crate) fn factor_beside(&mut self, left: &Input, factor: &TableFactor) -> Result<Input> {
        let TableFactor::Derived { lateral: true, subquery, alias, sample } = factor else {
            return self.factor(None, factor);
        };
        let scope = Rc::new(left.scope.clone());
        let bound = self.nested_query(subquery, &Env::new(scope, "FROM"))?;
        if !is_correlated(&bound.plan) {
            let input = self.derived(bound.plan, &bound.columns, alias.as_ref())?;
            return self.sampled(input, sample.as_ref());
        }
        refuse(sample.is_some(), "SAMPLE of a LATERAL query")?;
        check(&bound.plan, Above { one_row: true, ..Above::default() })?;
        let mut input = self.derived(bound.plan, &bound.columns, alias.as_ref())?;
        if let (Some(alias), _) = input.plan.schema().qualified_field(0) {
            let alias = alias.clone();
            let plan = match input.plan {
                LogicalPlan::SubqueryAlias(aliased) => Arc::unwrap_or_clone(aliased.input),
                plan => renamed(plan, |name: &str| (None, name.to_string()))?,
            };
            let subquery = Arc::new(LogicalPlan::Subquery(as_subquery(plan)));
            input.plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(subquery, alias)?);
        }
        input.lateral = true;
        Ok(input)
    }

    pub(crate) fn derived(
        &mut self,
        plan: LogicalPlan,
        columns: &[frazil_common::Column],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        Ok(Input::new(self.named_relation(plan, columns, vec![String::new()], alias, None)?))
    }

    /// One factor. Table functions are applied to the rows of `left`; nothing else takes it.
    fn factor(&mut self, left: Option<Input>, factor: &TableFactor) -> Result<Input> {
        self.bind_factor(left, factor).at(factor.span())
    }

    fn bind_factor(&mut self, left: Option<Input>, factor: &TableFactor) -> Result<Input> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                refuse(!with_hints.is_empty(), "table hints")?;
                refuse(*with_ordinality, "WITH ORDINALITY")?;
                refuse(!partitions.is_empty(), "PARTITION")?;
                refuse(json_path.is_some(), "a path after a table")?;
                refuse(!index_hints.is_empty(), "index hints")?;
                let stage = frazil_dialect::stage_location(name).is_some();
                if let (Some(ast::TableFunctionArgs { args, settings }), false) = (args, stage) {
                    refuse(settings.is_some(), "SETTINGS")?;
                    refuse(version.is_some(), "time travel of a function")?;
                    let input = self.table_function(left, name, args, alias.as_ref())?;
                    return self.sampled(input, sample.as_ref());
                }
                let input = self.table(factor, name, alias.as_ref(), version.is_some())?;
                self.sampled(input, sample.as_ref())
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                let bound = self.query(subquery)?;
                let input = self.derived(bound.plan, &bound.columns, alias.as_ref())?;
                self.sampled(input, sample.as_ref())
            }
            TableFactor::TableFunction { expr, alias } => match expr {
                ast::Expr::Function(function) => {
                    let (name, args) = table_function_parts(function)?;
                    if name.to_string().eq_ignore_ascii_case("IDENTIFIER") {
                        return self.table(factor, name, alias.as_ref(), false);
                    }
                    self.table_function(left, name, args, alias.as_ref())
                }
                _ => {
                    let reference = self.table_reference(factor)?;
                    self.resolved(&reference, alias.as_ref(), sqlparser::tokenizer::Span::empty())
                }
            },
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                refuse(*with_ordinality, "WITH ORDINALITY")?;
                self.table_function(left, name, args, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                refuse(alias.is_some(), "an alias of a join in parentheses")?;
                let TableWithJoins { relation, joins } = table_with_joins.as_ref();
                let first = self.factor(None, relation)?;
                self.add_joins(first, joins)
            }
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source,
                default_on_null,
                alias,
            } => {
                let input = self.factor(left, table)?;
                self.pivot(
                    input,
                    aggregate_functions,
                    value_column,
                    value_source,
                    default_on_null.as_ref(),
                    alias.as_ref(),
                )
            }
            TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
                let input = self.factor(left, table)?;
                self.unpivot(
                    input,
                    value,
                    name,
                    columns,
                    matches!(null_inclusion, Some(ast::NullInclusion::IncludeNulls)),
                    alias.as_ref(),
                )
            }
            TableFactor::UNNEST { .. } => unsupported("UNNEST"),
            TableFactor::JsonTable { .. } => unsupported("JSON_TABLE"),
            TableFactor::OpenJsonTable { .. } => unsupported("OPENJSON"),
            TableFactor::MatchRecognize { .. } => unsupported("MATCH_RECOGNIZE"),
            TableFactor::XmlTable { .. } => unsupported("XMLTABLE"),
            TableFactor::SemanticView { .. } => unsupported("SEMANTIC_VIEW"),
        }
    }

    /// A common table expression, table, view or stage by name.
    fn table(
        &mut self,
        factor: &TableFactor,
        name: &ast::ObjectName,
        alias: Option<&ast::TableAlias>,
        travels: bool,
    ) -> Result<Input> {
        let idents = identifiers(name).unwrap_or_default();
        let span = idents.first().map_or(sqlparser::tokenizer::Span::empty(), |i| i.span);
        if let [ident] = idents.as_slice()
            && !travels
            && let Some(cte) = self.common_table(&fold(ident))
        {
            let parts = vec![fold(ident)];
            let (plan, columns) = match cte {
                Cte::Planned(bound) => (bound.plan.clone(), bound.columns.clone()),
                Cte::WorkTable { name, columns, schema } => {
                    (Self::work_table(&name, &schema)?, columns)
                }
            };
            return Ok(Input::new(self.named_relation(plan, &columns, parts, alias, None)?));
        }
        if let [ident] = idents.as_slice()
            && !travels
            && crate::references::is_dual(ident)
        {
            let plan = LogicalPlanBuilder::empty(true).build()?;
            let (parts, _) = crate::binder::alias_parts(alias, vec![fold(ident)], 0)?;
            let scope =
                Scope { relations: vec![crate::scope::ScopeRelation { parts }], ..Scope::empty() };
            return Ok(Input::new((plan, scope)));
        }
        let reference = self.table_reference(factor)?;
        self.resolved(&reference, alias, span)
    }

    fn common_table(&self, name: &str) -> Option<Cte> {
        self.ctes.iter().rev().find_map(|frame| frame.get(name)).cloned()
    }

    /// A relation that the engine resolved.
    pub(crate) fn resolved(
        &mut self,
        reference: &Reference,
        alias: Option<&ast::TableAlias>,
        span: sqlparser::tokenizer::Span,
    ) -> Result<Input> {
        let resolved = self.ctx.resolved;
        match resolved.relations.get(reference) {
            Some(relation) => Ok(Input::new(self.use_relation(relation, alias)?)),
            None => Err(not_resolved(reference).at(position(span)).into()),
        }
    }
}

fn not_resolved(reference: &Reference) -> UserError {
    match reference {
        Reference::Table { name, travel: _ }
        | Reference::Changes { name, append_only: _, from: _, to: _ } => {
            UserError::not_found("Object", name)
        }
        Reference::Stage { path, options: _ } => UserError::not_found("Stage", path),
        Reference::ResultScan { query_id } => UserError::not_found("Result of statement", query_id),
        Reference::TableFunction { name, arguments: _ } => UserError::new(
            frazil_common::Code::UnknownTableFunction,
            format!("Unknown table function {name}"),
        ),
        Reference::Model { name, version: _ } => UserError::not_found("Model", name),
        Reference::Sequence { name } => UserError::not_found("Sequence", name),
    }
}

/// The name and the arguments of a table function.
pub(crate) fn table_function_parts(
    function: &ast::Function,
) -> Result<(&ast::ObjectName, &[ast::FunctionArg])> {
    let ast::Function {
        name,
        uses_odbc_syntax,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group,
    } = function;
    refuse(*uses_odbc_syntax, "ODBC escapes")?;
    refuse(!matches!(parameters, ast::FunctionArguments::None), "function parameters")?;
    refuse(filter.is_some(), "FILTER after a table function")?;
    refuse(null_treatment.is_some(), "IGNORE NULLS after a table function")?;
    refuse(over.is_some(), "OVER after a table function")?;
    refuse(!within_group.is_empty(), "WITHIN GROUP after a table function")?;
    let args = match args {
        ast::FunctionArguments::None => &[],
        ast::FunctionArguments::Subquery(_) => return unsupported(format!("{name}(query)")),
        ast::FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment,
            args,
            clauses,
        }) => {
            refuse(duplicate_treatment.is_some(), "DISTINCT in a table function")?;
            refuse(!clauses.is_empty(), "clauses in a table function's arguments")?;
            args.as_slice()
        }
    };
    Ok((name, args))
}

pub(crate) fn is_table_function(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::TableFunction { expr: ast::Expr::Function(_), alias: _ }
        | TableFactor::Function { lateral: _, name: _, args: _, with_ordinality: _, alias: _ } => {
            true
        }
        TableFactor::Table { name, args: Some(_), .. } => {
            frazil_dialect::stage_location(name).is_none()
        }
        _ => false,
    }
}

/// Whether a factor may look to its left.
fn is_applied(factor: &TableFactor) -> bool {
    is_table_function(factor)
        || matches!(
            factor,
            TableFactor::Derived { lateral: true, subquery: _, alias: _, sample: _ }
        )
}
