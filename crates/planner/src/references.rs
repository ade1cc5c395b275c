//! What a statement refers to outside itself, found before anything is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::ScalarValue;
use frazil_common::{Code, ObjectName, UserError};
use frazil_dialect::{
    Delete, Insert, InsertBranch, InsertSource, Merge, MergeAction, MultiInsert, Update,
};
use sqlparser::ast::{
    self, Expr as Syntax, FunctionArg, FunctionArgExpr, FunctionArgOperator, Query, Spanned,
    TableFactor, Visit, Visitor,
};

use crate::binder::Binder;
use crate::error::{At, PlannerError, Result, position, unsupported};
use crate::from::table_function_parts;
use crate::names::{fold, identifiers, keyword, object_name};
use crate::relation::{FunctionValue, PlanContext, Reference};

/// Table functions that the planner makes itself.
const OWN_TABLE_FUNCTIONS: [&str; 4] =
    ["FLATTEN", "SPLIT_TO_TABLE", "STRTOK_SPLIT_TO_TABLE", "GENERATOR"];

/// What a query refers to, each once. `ctx.resolved` is not looked at.
///
/// # Errors
/// Arguments of AT, BEFORE and table functions that are no constants.
pub fn references(
    query: &Query,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    collect(ctx, |collector| query.visit(collector))
}

/// As [`references`], for an expression.
pub fn references_of_expression(
    expr: &Syntax,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    collect(ctx, |collector| expr.visit(collector))
}

/// As [`references`], for an INSERT; its table is among them.
pub fn references_of_insert(
    insert: &Insert,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let Insert { target: _, overwrite: _, source } = insert;
    collect(ctx, |collector| match source {
        InsertSource::Values(rows) => {
            for expr in rows.iter().flatten() {
                expr.visit(collector)?;
            }
            ControlFlow::Continue(())
        }
        InsertSource::Query(query) => query.visit(collector),
    })
}

/// As [`references`], for the conditions and values of a multi-table INSERT, without its query.
///
/// # Errors
/// As [`references`]; sequences, which have one value for all branches of a row.
pub fn references_of_multi_insert(
    insert: &MultiInsert,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let MultiInsert { overwrite: _, first: _, conditions, branches, source: _ } = insert;
    let values = branches.iter().flat_map(|InsertBranch { when: _, target: _, values }| values);
    let found = collect(ctx, |collector| {
        for expr in conditions.iter().chain(values.flatten()) {
            expr.visit(collector)?;
        }
        ControlFlow::Continue(())
    })?;
    if found.iter().any(|reference| matches!(reference, Reference::Sequence { name: _ })) {
        return Err(UserError::unsupported(
            "NEXTVAL in the branches of a multi-table INSERT (draw it in the query)",
        ));
    }
    Ok(found)
}

/// As [`references`], for an UPDATE, without its table.
pub fn references_of_update(
    update: &Update,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let Update { table: _, position: _, alias: _, assignments, from, selection } = update;
    collect(ctx, |collector| {
        for assignment in assignments {
            assignment.value.visit(collector)?;
        }
        for item in from {
            item.visit(collector)?;
        }
        match selection {
            Some(selection) => selection.visit(collector),
            None => ControlFlow::Continue(()),
        }
    })
}

/// As [`references`], for a DELETE, without its table.
pub fn references_of_delete(
    delete: &Delete,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let Delete { table: _, position: _, alias: _, using, selection } = delete;
    collect(ctx, |collector| {
        for item in using {
            item.visit(collector)?;
        }
        match selection {
            Some(selection) => selection.visit(collector),
            None => ControlFlow::Continue(()),
        }
    })
}

/// As [`references`], for a MERGE, without its table.
pub fn references_of_merge(
    merge: &Merge,
    ctx: &PlanContext<'_>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let Merge { table: _, position: _, alias: _, source, on, clauses } = merge;
    collect(ctx, |collector| {
        source.visit(collector)?;
        on.visit(collector)?;
        for clause in clauses {
            if let Some(condition) = &clause.condition {
                condition.visit(collector)?;
            }
            match &clause.action {
                MergeAction::Update(assignments) => {
                    for assignment in assignments {
                        assignment.value.visit(collector)?;
                    }
                }
                MergeAction::Insert { columns: _, values } => {
                    for value in values {
                        value.visit(collector)?;
                    }
                }
                MergeAction::UpdateAllByName
                | MergeAction::InsertAllByName
                | MergeAction::Delete => {}
            }
        }
        ControlFlow::Continue(())
    })
}

fn collect<'c>(
    ctx: &PlanContext<'c>,
    visit: impl FnOnce(&mut Collector<'c>) -> ControlFlow<PlannerError>,
) -> std::result::Result<Vec<Reference>, UserError> {
    let mut collector = Collector {
        binder: Binder::new(ctx),
        found: Vec::new(),
        frames: Vec::new(),
        inside_function: 0,
    };
    match visit(&mut collector) {
        ControlFlow::Continue(()) => Ok(collector.found),
        ControlFlow::Break(error) => Err(error.into()),
    }
}

/// The names a WITH has brought into scope so far.
#[derive(Debug, Default)]
struct Frame {
    names: Vec<String>,
    /// The queries of the WITH by address, with the names they define.
    pending: HashMap<*const Query, String>,
}

struct Collector<'a> {
    binder: Binder<'a>,
    found: Vec<Reference>,
    frames: Vec<Frame>,
    /// Queries in arguments of table functions are planned by the engine on their own.
    inside_function: usize,
}

impl Collector<'_> {
    fn add(&mut self, reference: Reference) {
        if self.inside_function == 0 && !self.found.contains(&reference) {
            self.found.push(reference);
        }
    }

    fn is_common_table(&self, name: &str) -> bool {
        self.frames.iter().any(|frame| frame.names.iter().any(|known| known == name))
    }
}

/// Calls of table functions hide the queries in their arguments.
fn takes_queries(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::TableFunction { expr: Syntax::Function(function), alias: _ } => {
            table_function_parts(function).is_ok_and(|(name, _)| !is_own(name))
        }
        TableFactor::Function { lateral: _, name, args: _, with_ordinality: _, alias: _ } => {
            !is_own(name)
        }
        _ => false,
    }
}

fn is_own(name: &ast::ObjectName) -> bool {
    let name = name.to_string().to_uppercase();
    OWN_TABLE_FUNCTIONS.contains(&name.as_str())
}

/// DUAL: one row without columns, for queries that need a FROM.
pub(crate) fn is_dual(ident: &ast::Ident) -> bool {
    keyword(ident).as_deref() == Some("DUAL")
}

impl Visitor for Collector<'_> {
    type Break = PlannerError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlannerError> {
        let mut frame = Frame::default();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let name = fold(&cte.alias.name);
                // A recursive table knows its own name.
                if reads_table(&cte.query.body, &name)
                    && matches!(cte.query.body.as_ref(), ast::SetExpr::SetOperation { right, op: ast::SetOperator::Union, left: _, set_quantifier: _ } if reads_table(right, &name))
                {
                    frame.names.push(name.clone());
                }
                frame.pending.insert(std::ptr::from_ref(cte.query.as_ref()), name);
            }
        }
        self.frames.push(frame);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<PlannerError> {
        self.frames.pop();
        if let Some(parent) = self.frames.last_mut()
            && let Some(name) = parent.pending.remove(&std::ptr::from_ref(query))
        {
            parent.names.push(name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<PlannerError> {
        match self.references_of_factor(factor).at(factor.span()) {
            Ok(Some(reference)) => self.add(reference),
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        if takes_queries(factor) {
            self.inside_function += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<PlannerError> {
        if takes_queries(factor) {
            self.inside_function -= 1;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Syntax) -> ControlFlow<PlannerError> {
        match expr {
            Syntax::Function(function) => match frazil_dialect::model_of_function(function) {
                Ok(Some((name, version, _))) => self.add(Reference::Model { name, version }),
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error.into()),
            },
            Syntax::CompoundIdentifier(idents) => {
                if let Some((last, sequence)) = idents.split_last()
                    && keyword(last).as_deref() == Some("NEXTVAL")
                {
                    match object_name(sequence) {
                        Ok(name) => self.add(Reference::Sequence { name }),
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Collector<'_> {
    fn references_of_factor(&mut self, factor: &TableFactor) -> Result<Option<Reference>> {
        if self.inside_function > 0 {
            return Ok(None);
        }
        match factor {
            TableFactor::Table { name, args, version, .. } => {
                if args.is_some() && frazil_dialect::stage_location(name).is_none() {
                    if is_own(name) {
                        return Ok(None);
                    }
                    let args = args.as_ref().map_or(&[][..], |args| &args.args);
                    return self.binder.function_reference(name, args).map(Some);
                }
                let common = match identifiers(name)?.as_slice() {
                    [ident] => {
                        version.is_none() && (self.is_common_table(&fold(ident)) || is_dual(ident))
                    }
                    _ => false,
                };
                if common { Ok(None) } else { self.binder.table_reference(factor).map(Some) }
            }
            TableFactor::TableFunction { expr: Syntax::Function(function), alias: _ } => {
                let (name, args) = table_function_parts(function)?;
                if is_own(name) {
                    return Ok(None);
                }
                if name.to_string().eq_ignore_ascii_case("IDENTIFIER") {
                    return self.binder.table_reference(factor).map(Some);
                }
                self.binder.function_reference(name, args).map(Some)
            }
            TableFactor::TableFunction { expr: _, alias: _ } => {
                self.binder.table_reference(factor).map(Some)
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality: _, alias: _ } => {
                if is_own(name) {
                    return Ok(None);
                }
                self.binder.function_reference(name, args).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Whether a query body reads a table of that bare name in a FROM clause.
pub(crate) fn reads_table(body: &ast::SetExpr, name: &str) -> bool {
    struct Finder<'n> {
        name: &'n str,
    }
    impl Visitor for Finder<'_> {
        type Break = ();
        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, version: None, .. } = factor
                && let Ok(idents) = identifiers(name)
                && let [ident] = idents.as_slice()
                && fold(ident) == self.name
            {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    body.visit(&mut Finder { name }).is_break()
}

impl Binder<'_> {
    /// The reference of a table, stage or `TABLE('name')`.
    pub(crate) fn table_reference(&mut self, factor: &TableFactor) -> Result<Reference> {
        self.bind_reference(factor).at(factor.span())
    }

    fn bind_reference(&mut self, factor: &TableFactor) -> Result<Reference> {
        match factor {
            TableFactor::Table { name, args, version, .. } => {
                if let Some(path) = frazil_dialect::stage_location(name) {
                    let options = match args {
                        None => Vec::new(),
                        Some(ast::TableFunctionArgs { args, settings: _ }) => {
                            self.stage_options(args)?
                        }
                    };
                    return Ok(Reference::Stage { path, options });
                }
                let version = version.as_ref();
                if let Some(ast::TableVersion::Changes { changes, at, end }) = version {
                    let name = self.table_name(name)?;
                    return self.changes_reference(name, changes, at, end.as_ref());
                }
                let travel = version.map(|version| self.travel(version)).transpose()?;
                let name = self.table_name(name)?;
                Ok(Reference::Table { name, travel })
            }
            TableFactor::TableFunction { expr, alias: _ } => {
                let expr = match expr {
                    Syntax::Function(function) => match table_function_parts(function)? {
                        (_, [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))]) => expr,
                        _ => return unsupported(format!("TABLE({function})")),
                    },
                    expr => expr,
                };
                if let Syntax::Identifier(ident) = expr {
                    let name = object_name(std::slice::from_ref(ident))?;
                    return Ok(Reference::Table { name, travel: None });
                }
                if let Syntax::CompoundIdentifier(idents) = expr {
                    return Ok(Reference::Table { name: object_name(idents)?, travel: None });
                }
                let text = self.constant(expr, "FROM")?.as_text_literal().ok_or_else(|| {
                    UserError::syntax("TABLE takes a name or a table function")
                        .at(position(expr.span()))
                })?;
                let name = frazil_dialect::parse_object_name_text(&text)?;
                Ok(Reference::Table { name, travel: None })
            }
            other => unsupported(format!("{other} in FROM")),
        }
    }

    fn table_name(&mut self, name: &ast::ObjectName) -> Result<ObjectName> {
        if let ast::ObjectName(parts) = name
            && let [ast::ObjectNamePart::Function(function)] = parts.as_slice()
            && function.name.value.eq_ignore_ascii_case("IDENTIFIER")
            && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] = function.args.as_slice()
        {
            let text = self.constant(expr, "FROM")?.as_text_literal();
            let text = text.ok_or_else(|| UserError::syntax("IDENTIFIER takes a text"))?;
            return Ok(frazil_dialect::parse_object_name_text(&text)?);
        }
        object_name(&identifiers(name)?)
    }

    fn stage_options(&mut self, args: &[FunctionArg]) -> Result<Vec<(String, String)>> {
        args.iter()
            .map(|arg| match arg {
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow,
                } => {
                    let value = match expr {
                        Syntax::Identifier(ident) => ident.value.clone(),
                        Syntax::CompoundIdentifier(idents) => {
                            idents.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
                        }
                        expr => {
                            self.constant(expr, "FROM")?.as_text_literal().ok_or_else(|| {
                                UserError::syntax(format!("option {name} takes a text"))
                                    .at(position(name.span))
                            })?
                        }
                    };
                    Ok((name.value.to_uppercase(), value))
                }
                other => unsupported(format!("stage option {other}")),
            })
            .collect()
    }

    /// The reference of a table function that the engine answers.
    pub(crate) fn function_reference(
        &mut self,
        name: &ast::ObjectName,
        args: &[FunctionArg],
    ) -> Result<Reference> {
        let idents = identifiers(name)?;
        let parts: Vec<String> = idents.iter().map(fold).collect();
        // Functions of any database's information schema go by INFORMATION_SCHEMA.NAME.
        let function = match parts.as_slice() {
            [_, schema, function] if schema == "INFORMATION_SCHEMA" => {
                format!("{schema}.{function}")
            }
            parts => parts.join("."),
        };
        if function == "RESULT_SCAN" {
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] = args else {
                return Err(UserError::syntax("RESULT_SCAN takes the id of a query").into());
            };
            let query_id = self.constant(expr, "FROM")?.as_text_literal().ok_or_else(|| {
                UserError::new(Code::InvalidArgument, "RESULT_SCAN takes the id of a query")
                    .at(position(expr.span()))
            })?;
            return Ok(Reference::ResultScan { query_id });
        }
        let arguments = args
            .iter()
            .map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    Ok((None, self.function_value(expr)?))
                }
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow,
                } => Ok((Some(name.value.to_uppercase()), self.function_value(expr)?)),
                other => unsupported(format!("argument {other} of {function}")),
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Reference::TableFunction { name: function, arguments })
    }

    fn function_value(&mut self, expr: &Syntax) -> Result<FunctionValue> {
        match expr {
            Syntax::Subquery(query) => return Ok(FunctionValue::Query(query.clone())),
            Syntax::Nested(inner) => return self.function_value(inner),
            Syntax::Identifier(ident)
                if keyword(ident).is_none_or(|k| !k.starts_with("CURRENT_")) =>
            {
                let name = object_name(std::slice::from_ref(ident))?;
                return Ok(FunctionValue::Identifier(name));
            }
            Syntax::CompoundIdentifier(idents) => {
                return Ok(FunctionValue::Identifier(object_name(idents)?));
            }
            Syntax::Tuple(items) | Syntax::Array(ast::Array { elem: items, named: _ }) => {
                let items =
                    items.iter().map(|item| self.function_value(item)).collect::<Result<_>>()?;
                return Ok(FunctionValue::List(items));
            }
            _ => {}
        }
        let value = self.constant(expr, "FROM")?;
        if value.is_null_literal() {
            return Ok(FunctionValue::Null);
        }
        if let Some(flag) = value.as_boolean_literal() {
            return Ok(FunctionValue::Boolean(flag));
        }
        if let Some(text) = value.as_text_literal() {
            return Ok(FunctionValue::Text(text));
        }
        let numeric = value.sql_type.is_numeric();
        let text = self.cast_explicit(value, &frazil_common::SqlType::TEXT)?;
        match frazil_functions::evaluate_constant(&text)? {
            ScalarValue::Utf8View(Some(text)) if numeric => Ok(FunctionValue::Number(text)),
            ScalarValue::Utf8View(Some(text)) => Ok(FunctionValue::Text(text)),
            _ => Ok(FunctionValue::Null),
        }
    }
}
