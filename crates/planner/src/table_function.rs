//! Table functions: FLATTEN and splitting applied to the rows to their left, GENERATOR, and those
//! the engine answers.

use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column as PlanColumn, NullHandling, TableReference, UnnestOptions};
use datafusion::datasource::provider_as_source;
use datafusion::functions_table::generate_series::{GenSeriesArgs, GenerateSeriesTable};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, Unnest, lit};
use frazil_common::{Code, Column, SqlType, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::Spanned;
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, FunctionArgOperator};

use crate::binder::{Binder, alias_parts};
use crate::error::{At, Result, position, unsupported};
use crate::from::Input;
use crate::names::{INTERNAL_SCHEMA, fold, identifiers};
use crate::scope::{Env, ROW_NUMBER, Scope, ScopeColumn, ScopeRelation};
use crate::select::numbered;
use crate::timed_rows;

/// A column that a table function adds: its name, its type and its field in the kernel's rows
/// (none for SEQ, the number of the input row).
type AddedColumn = (&'static str, SqlType, Option<&'static str>);

impl Binder<'_> {
    pub(crate) fn table_function(
        &mut self,
        left: Option<Input>,
        name: &ast::ObjectName,
        args: &[FunctionArg],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        let idents = identifiers(name)?;
        let function = match idents.as_slice() {
            [ident] => fold(ident),
            _ => String::new(),
        };
        let applied = match function.as_str() {
            "FLATTEN" => self.flatten(left, args, alias),
            "SPLIT_TO_TABLE" | "STRTOK_SPLIT_TO_TABLE" => self.split(&function, left, args, alias),
            "GENERATOR" => {
                let right = self.generator(args, alias)?;
                self.beside(left, right)
            }
            _ => {
                let reference = self.function_reference(name, args)?;
                let right = self.resolved(&reference, alias, name.span())?;
                self.beside(left, right)
            }
        };
        applied.at(name.span())
    }

    fn beside(&mut self, left: Option<Input>, right: Input) -> Result<Input> {
        match left {
            None => Ok(right),
            Some(left) => self.cross_join(left, right),
        }
    }

    fn flatten(
        &mut self,
        left: Option<Input>,
        args: &[FunctionArg],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        const NAMES: [&str; 5] = ["INPUT", "PATH", "OUTER", "RECURSIVE", "MODE"];
        let left = self.left_or_one_row(left)?;
        let env = Env::new(Rc::new(left.scope.clone()), "FROM");
        let [input, path, outer, recursive, mode] = named_arguments("FLATTEN", &NAMES, args)?;
        let input = input.ok_or_else(|| missing_argument("FLATTEN", "INPUT"))?;
        let input = self.expr(input, &env)?;
        let input = match &input.sql_type {
            SqlType::Variant | SqlType::Object | SqlType::Array => input,
            SqlType::Null => self.cast_to(input, &SqlType::Variant)?,
            other => {
                return Err(UserError::new(
                    Code::InvalidArgumentTypes,
                    format!("Invalid argument types for function 'FLATTEN': INPUT is {other}"),
                )
                .into());
            }
        };
        let path = match path {
            None => TypedExpr::text(""),
            Some(path) => self.constant_text("PATH", path)?,
        };
        let outer = self.constant_flag("OUTER", outer)?;
        let recursive = self.constant_flag("RECURSIVE", recursive)?;
        let mode = match mode {
            None => "BOTH".to_string(),
            Some(mode) => self
                .constant_text("MODE", mode)?
                .as_text_literal()
                .unwrap_or_default()
                .to_uppercase(),
        };
        if !matches!(mode.as_str(), "OBJECT" | "ARRAY" | "BOTH") {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("Invalid MODE '{mode}' of FLATTEN: OBJECT, ARRAY or BOTH"),
            )
            .into());
        }
        let call = frazil_functions::table::flatten_udf().call(vec![
            input.expr,
            path.expr,
            lit(outer),
            lit(recursive),
            TypedExpr::text(&mode).expr,
        ]);
        let index = SqlType::Number { precision: 18, scale: 0 };
        let added: [AddedColumn; 6] = [
            ("SEQ", index.clone(), None),
            ("KEY", SqlType::TEXT, Some("key")),
            ("PATH", SqlType::TEXT, Some("path")),
            ("INDEX", index, Some("index")),
            ("VALUE", SqlType::Variant, Some("value")),
            ("THIS", SqlType::Variant, Some("this")),
        ];
        self.apply(left, call, &added, alias)
    }

    fn split(
        &mut self,
        function: &str,
        left: Option<Input>,
        args: &[FunctionArg],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        const NAMES: [&str; 2] = ["STRING", "DELIMITER"];
        let left = self.left_or_one_row(left)?;
        let env = Env::new(Rc::new(left.scope.clone()), "FROM");
        let [text, delimiter] = named_arguments(function, &NAMES, args)?;
        let text = text.ok_or_else(|| missing_argument(function, "string"))?;
        let text = self.expr(text, &env)?;
        let text = self.cast_to(text, &SqlType::TEXT)?;
        let delimiter = match delimiter {
            Some(delimiter) => {
                let delimiter = self.expr(delimiter, &env)?;
                self.cast_to(delimiter, &SqlType::TEXT)?
            }
            None if function == "STRTOK_SPLIT_TO_TABLE" => TypedExpr::text(" "),
            None => return Err(missing_argument(function, "delimiter").into()),
        };
        let udf = if function == "SPLIT_TO_TABLE" {
            frazil_functions::table::split_to_table_udf()
        } else {
            frazil_functions::table::strtok_split_to_table_udf()
        };
        let call = udf.call(vec![text.expr, delimiter.expr]);
        let index = SqlType::Number { precision: 18, scale: 0 };
        let added: [AddedColumn; 3] = [
            ("SEQ", index.clone(), None),
            ("INDEX", index, Some("index")),
            ("VALUE", SqlType::TEXT, Some("value")),
        ];
        self.apply(left, call, &added, alias)
    }

    fn left_or_one_row(&mut self, left: Option<Input>) -> Result<Input> {
        match left {
            Some(left) => Ok(left),
            None => {
                let plan = LogicalPlanBuilder::empty(true).build()?;
                Ok(Input::new((plan, Scope::empty())))
            }
        }
    }

    /// For each row of the left, the rows of the list that `call` gives.
    fn apply(
        &mut self,
        left: Input,
        call: Expr,
        added: &[AddedColumn],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        let Input { plan, mut scope, lateral: _ } = left;
        let kept: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        // The optimizer drops the numbering where SEQ is not read.
        let plan = numbered(plan)?;
        let list = self.unique_column("rows");
        let sequence = self.unique_column("seq");
        let mut exprs = kept.clone();
        exprs.push(Expr::Column(PlanColumn::from_name(ROW_NUMBER)).alias(&sequence));
        exprs.push(call.alias(&list));
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        let options = UnnestOptions { null_handling: NullHandling::Drop, recursions: Vec::new() };
        let plan = LogicalPlan::Unnest(Unnest::try_new(
            Arc::new(plan),
            vec![PlanColumn::from_name(&list)],
            options,
        )?);
        let internal = self.unique("r");
        let qualifier = TableReference::bare(internal.as_str());
        let row = Expr::Column(PlanColumn::from_name(&list));
        let mut exprs = kept;
        let mut columns = Vec::with_capacity(added.len());
        let parts = vec![String::new()];
        let (parts, renamed) = alias_parts(alias, parts, added.len())?;
        let relation = scope.relations.len();
        scope.relations.push(ScopeRelation { parts });
        for (index, (name, sql_type, field)) in added.iter().enumerate() {
            let value = match field {
                None => {
                    // Rows of FLATTEN are numbered from 1.
                    Expr::Column(PlanColumn::from_name(&sequence)) + lit(1i64)
                }
                Some(field) => datafusion::functions::core::expr_fn::get_field(row.clone(), *field),
            };
            let field_name = format!("{internal}.{name}");
            exprs.push(value.alias_qualified(Some(qualifier.clone()), &field_name));
            columns.push(ScopeColumn {
                relation: Some(relation),
                name: renamed.get(index).map_or_else(|| name.to_string(), String::clone),
                sql_type: sql_type.clone(),
                nullable: field.is_some(),
                expr: Expr::Column(PlanColumn::new(Some(qualifier.clone()), field_name)),
                in_star: true,
                bare: true,
                uses: Vec::new(),
            });
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        scope.columns.extend(columns);
        scope.schema = plan.schema().clone();
        scope.sequence = None;
        Ok(Input { plan, scope, lateral: false })
    }

    /// GENERATOR(ROWCOUNT => n, TIMELIMIT => s): rows without columns, made as they are read, n of
    /// them or as many as s seconds give, whichever ends first.
    fn generator(
        &mut self,
        args: &[FunctionArg],
        alias: Option<&ast::TableAlias>,
    ) -> Result<Input> {
        const NAMES: [&str; 2] = ["ROWCOUNT", "TIMELIMIT"];
        let [rows, seconds] = named_arguments("GENERATOR", &NAMES, args)?;
        let mut number = |name: &str, given: Option<&ast::Expr>| -> Result<Option<i64>> {
            let Some(given) = given else { return Ok(None) };
            let number = self.constant(given, "FROM")?.as_integer_literal().filter(|n| *n >= 0);
            let number = number.ok_or_else(|| {
                UserError::new(
                    Code::InvalidArgument,
                    format!("{name} of GENERATOR must be a constant number"),
                )
                .at(position(given.span()))
            })?;
            Ok(Some(number))
        };
        let (rows, seconds) = (number("ROWCOUNT", rows)?, number("TIMELIMIT", seconds)?);
        if rows.is_none() && seconds.is_none() {
            return Err(missing_argument("GENERATOR", "ROWCOUNT").into());
        }
        let schema = Arc::new(Schema::new(vec![Field::new("value", DataType::Int64, false)]));
        let rows = rows.unwrap_or(i64::MAX);
        let table: Arc<dyn TableProvider> = match seconds {
            Some(seconds) => timed_rows::table(schema, seconds.unsigned_abs(), rows)?,
            None => {
                let series = GenSeriesArgs::Int64Args {
                    start: 0,
                    end: rows,
                    step: 1,
                    include_end: false,
                    name: "generator",
                };
                Arc::new(GenerateSeriesTable::new(schema, series))
            }
        };
        let internal = self.unique("r");
        let plan = LogicalPlanBuilder::scan(
            TableReference::partial(INTERNAL_SCHEMA, internal),
            provider_as_source(table),
            None,
        )?
        .build()?;
        let (parts, _) = alias_parts(alias, vec![String::new()], 0)?;
        let sequence = plan.schema().columns().into_iter().next().map(Expr::Column);
        let scope = Scope {
            relations: vec![ScopeRelation { parts }],
            schema: plan.schema().clone(),
            sequence,
            ..Scope::empty()
        };
        Ok(Input::new((plan, scope)))
    }

    fn constant_text(&mut self, name: &str, expr: &ast::Expr) -> Result<TypedExpr> {
        let value = self.constant(expr, "FROM")?;
        match value.as_text_literal() {
            Some(text) => Ok(TypedExpr::text(&text)),
            None => Err(UserError::new(
                Code::InvalidArgument,
                format!("{name} must be a constant text"),
            )
            .at(position(expr.span()))
            .into()),
        }
    }

    fn constant_flag(&mut self, name: &str, expr: Option<&ast::Expr>) -> Result<bool> {
        let Some(expr) = expr else { return Ok(false) };
        let value = self.constant(expr, "FROM")?;
        value.as_boolean_literal().ok_or_else(|| {
            UserError::new(Code::InvalidArgument, format!("{name} must be TRUE or FALSE"))
                .at(position(expr.span()))
                .into()
        })
    }
}

/// The arguments by their names; those without a name count in order.
fn named_arguments<'a, const N: usize>(
    function: &str,
    names: &[&str; N],
    args: &'a [FunctionArg],
) -> Result<[Option<&'a ast::Expr>; N]> {
    let mut values: [Option<&ast::Expr>; N] = [None; N];
    for (index, arg) in args.iter().enumerate() {
        let (slot, value, span) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => {
                (Some(index).filter(|i| *i < N), value, value.span())
            }
            FunctionArg::Named {
                name,
                arg: FunctionArgExpr::Expr(value),
                operator: FunctionArgOperator::RightArrow,
            } => {
                let upper = name.value.to_uppercase();
                (names.iter().position(|known| *known == upper), value, name.span)
            }
            other => return unsupported(format!("argument {other} of {function}")),
        };
        let Some(slot) = slot else {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("{function} has no argument {arg}"),
            )
            .at(position(span))
            .into());
        };
        if values[slot].replace(value).is_some() {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("argument {} of {function} is given twice", names[slot]),
            )
            .at(position(span))
            .into());
        }
    }
    Ok(values)
}

fn missing_argument(function: &str, name: &str) -> UserError {
    UserError::new(Code::ArgumentCount, format!("{function} needs its argument {name}"))
}

/// A relation's columns as an output, for PIVOT and its like.
pub(crate) fn visible_columns(scope: &Scope) -> Vec<(ScopeColumn, Column)> {
    scope
        .columns
        .iter()
        .filter(|column| column.in_star)
        .map(|column| {
            let shown = Column::new(&column.name, column.sql_type.clone(), column.nullable);
            (column.clone(), shown)
        })
        .collect()
}
