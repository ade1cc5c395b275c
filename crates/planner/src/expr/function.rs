//! Function calls: scalar, aggregate and the forms with a syntax of their own.

use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::common::Column as PlanColumn;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::functions_aggregate::grouping::grouping_udaf;
use datafusion::logical_expr::{Expr, cast as plan_cast};
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::{AggregateCall, TypedExpr, aggregate, scalar, window};
use sqlparser::ast::{
    self, DuplicateTreatment, Expr as Syntax, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArguments, Spanned,
};

use super::column::function_misplaced;
use crate::binder::Binder;
use crate::error::{At, PlannerError, Result, position, refuse, unsupported};
use crate::names::{identifiers, keyword, shown};
use crate::scope::Env;

/// Functions whose argument of that index is a date or time part, written as a word or a string.
const DATE_PART_ARGUMENTS: &[(&str, usize)] = &[
    ("DATEADD", 0),
    ("TIMEADD", 0),
    ("TIMESTAMPADD", 0),
    ("DATEDIFF", 0),
    ("TIMEDIFF", 0),
    ("TIMESTAMPDIFF", 0),
    ("DATE_TRUNC", 0),
    ("DATE_PART", 0),
    ("LAST_DAY", 1),
    ("TIME_SLICE", 2),
    ("TRUNC", 1),
    ("NEXT_DAY", 1),
    ("PREVIOUS_DAY", 1),
];

/// Row counters that the planner answers from the row's number.
const ROW_COUNTERS: &[&str] = &["SEQ1", "SEQ2", "SEQ4", "SEQ8"];

/// Arguments of a call, taken apart.
#[derive(Debug)]
pub(super) struct Call<'s> {
    /// Upper case.
    pub name: String,
    pub args: Vec<&'s FunctionArg>,
    pub distinct: bool,
    pub ignore_nulls: bool,
    pub order_by: Vec<&'s ast::OrderByExpr>,
    pub filter: Option<&'s Syntax>,
    pub over: Option<&'s ast::WindowType>,
}

/// Takes a call apart; no part is left unread.
fn take_apart(function: &ast::Function) -> Result<Call<'_>> {
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
    refuse(!matches!(parameters, FunctionArguments::None), "function parameters")?;
    let idents = identifiers(name)?;
    let [ident] = idents.as_slice() else {
        return Err(unknown_function(&shown(&idents), name.span()));
    };
    let mut call = Call {
        name: ident.value.to_uppercase(),
        args: Vec::new(),
        distinct: false,
        ignore_nulls: matches!(null_treatment, Some(ast::NullTreatment::IgnoreNulls)),
        order_by: within_group.iter().collect(),
        filter: filter.as_deref(),
        over: over.as_ref(),
    };
    match args {
        FunctionArguments::None => {}
        FunctionArguments::Subquery(_) => {
            return unsupported(format!("{}(query)", call.name));
        }
        FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment,
            args,
            clauses,
        }) => {
            call.args = args.iter().collect();
            call.distinct = matches!(duplicate_treatment, Some(DuplicateTreatment::Distinct));
            for clause in clauses {
                match clause {
                    ast::FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
                        call.ignore_nulls = matches!(treatment, ast::NullTreatment::IgnoreNulls);
                    }
                    ast::FunctionArgumentClause::OrderBy(order) => {
                        call.order_by.extend(order.iter());
                    }
                    other => return unsupported(format!("{}(… {other})", call.name)),
                }
            }
        }
    }
    Ok(call)
}

/// The plain positional arguments of a call.
pub(crate) fn arguments_of(function: &ast::Function) -> Result<Vec<Syntax>> {
    let call = take_apart(function)?;
    call.args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Ok(expr.clone()),
            other => unsupported(format!("argument {other}")),
        })
        .collect()
}

impl Binder<'_> {
    pub(super) fn function(&mut self, function: &ast::Function, env: &Env) -> Result<TypedExpr> {
        if let Some((model, version, method)) = frazil_dialect::model_of_function(function)? {
            return self.model_method(function, model, version, &method, env);
        }
        let span = function.name.span();
        let call = take_apart(function)?;
        if let Some(over) = call.over {
            return self.window_call(&call, over, env).at(span);
        }
        if ROW_COUNTERS.contains(&call.name.as_str()) {
            return self.row_counter(&call, env);
        }
        match call.name.as_str() {
            "GROUPING" | "GROUPING_ID" => return self.grouping(&call, env).at(span),
            "IDENTIFIER" => return self.identifier(&call, env).at(span),
            "SEARCH" => return self.search(&call, env).at(span),
            _ => {}
        }
        if let Some(kind) = super::lambda::kind_of(&call.name) {
            return self.higher_order(kind, &call, env).at(span);
        }
        if let Some(known) = aggregate(&call.name) {
            if !env.allow_aggregates {
                return Err(function_misplaced("aggregate", &call.name, env, span));
            }
            // Aggregates do not nest, except below a window function.
            let inner = Env { allow_aggregates: false, allow_windows: false, ..env.clone() };
            let call = self.aggregate_call(&call, &inner)?;
            return Ok(known
                .bind(call, self.ctx.facts)
                .map_err(|error| error.at(position(span)))?);
        }
        let Call { name, args, distinct, ignore_nulls, order_by, filter, over: _ } = call;
        let Some(known) = scalar(&name) else {
            if window(&name).is_some() {
                return Err(UserError::syntax(format!("window function {name} needs OVER"))
                    .at(position(span))
                    .into());
            }
            return Err(unknown_function(&name, span));
        };
        refuse(distinct, &format!("{name}(DISTINCT …)"))?;
        refuse(ignore_nulls, &format!("{name} … IGNORE NULLS"))?;
        refuse(!order_by.is_empty(), &format!("{name} … WITHIN GROUP"))?;
        refuse(filter.is_some(), &format!("{name} … FILTER"))?;
        let placed = placed_arguments(&name, &args)?;
        let args = match &placed {
            Some(placed) => self.arguments(&name, &placed.iter().collect::<Vec<_>>(), env)?,
            None => self.arguments(&name, &args, env)?,
        };
        Ok(known.bind(args, self.ctx.facts).map_err(|error| error.at(position(span)))?)
    }

    /// Binds the arguments of a call; `*` stands for all columns.
    pub(super) fn arguments(
        &mut self,
        name: &str,
        args: &[&FunctionArg],
        env: &Env,
    ) -> Result<Vec<TypedExpr>> {
        let mut bound = Vec::with_capacity(args.len());
        for (index, arg) in args.iter().enumerate() {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    let part = match (name, index) {
                        // DATE_TRUNC(part, column): the column may be named as a part is.
                        ("DATE_TRUNC", 1) if is_date_part(args[0]) => None,
                        _ => date_part(name, index, expr, args.len()),
                    };
                    match part {
                        Some(part) => bound.push(TypedExpr::text(&part)),
                        None => bound.push(self.expr(expr, env)?),
                    }
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                    self.star_argument(name, None, &Default::default(), env, &mut bound)?;
                }
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(qualifier)) => {
                    let idents = identifiers(qualifier)?;
                    // Options of a star with a qualifier stand after it, see COLUMN_LIST.
                    let options = match args.get(index + 1) {
                        Some(FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(o))) => {
                            o.clone()
                        }
                        _ => Default::default(),
                    };
                    self.star_argument(name, Some(&idents), &options, env, &mut bound)?;
                }
                FunctionArg::Unnamed(FunctionArgExpr::WildcardWithOptions(options)) => {
                    let qualified = index > 0
                        && matches!(
                            args[index - 1],
                            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))
                        );
                    if !qualified {
                        self.star_argument(name, None, options, env, &mut bound)?;
                    }
                }
                FunctionArg::Named { name: argument, arg: _, operator: _ } => {
                    return unsupported(format!("argument {argument} of {name} by name"));
                }
                FunctionArg::ExprNamed { name: argument, arg: _, operator: _ } => {
                    return unsupported(format!("argument {argument} of {name} by name"));
                }
            }
        }
        Ok(bound)
    }

    /// `f(*)` and `f(t.*)`: OBJECT_CONSTRUCT takes names and values, others the values.
    fn star_argument(
        &mut self,
        name: &str,
        qualifier: Option<&[ast::Ident]>,
        options: &ast::WildcardAdditionalOptions,
        env: &Env,
        bound: &mut Vec<TypedExpr>,
    ) -> Result<()> {
        let span = qualifier
            .and_then(|idents| idents.first())
            .map_or(sqlparser::tokenizer::Span::empty(), |ident| ident.span);
        let mut items = Vec::new();
        self.star(qualifier, options, span, env, &mut items)?;
        let with_names = name.starts_with("OBJECT_CONSTRUCT");
        for item in items {
            if with_names {
                bound.push(TypedExpr::text(&item.name));
            }
            bound.push(item.value);
        }
        Ok(())
    }

    pub(super) fn aggregate_call(&mut self, call: &Call<'_>, inner: &Env) -> Result<AggregateCall> {
        let Call { name, args, distinct, ignore_nulls, order_by, filter, over: _ } = call;
        let counts_rows = name == "COUNT"
            && matches!(args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        let mut args =
            if counts_rows && !distinct { Vec::new() } else { self.arguments(name, args, inner)? };
        // A percentile's value is what it orders by; the function needs its SQL type.
        if (name == "PERCENTILE_CONT" || name == "PERCENTILE_DISC")
            && let Some(key) = order_by.first()
        {
            args.push(self.expr(&key.expr, inner)?);
        }
        let filter = match filter {
            None => None,
            Some(filter) => Some(self.condition(filter, inner)?.expr),
        };
        let order_by = self.sort_exprs(order_by, inner)?;
        Ok(AggregateCall {
            args,
            distinct: *distinct,
            filter,
            order_by,
            ignore_nulls: *ignore_nulls,
        })
    }

    /// SEQ4() and its like: the number of the row, from 0.
    fn row_counter(&mut self, call: &Call<'_>, env: &Env) -> Result<TypedExpr> {
        let (bits, precision) = match call.name.as_str() {
            "SEQ1" => (8, 3),
            "SEQ2" => (16, 5),
            "SEQ4" => (32, 10),
            _ => (64, 18),
        };
        let sign = match call.args.as_slice() {
            [] => 0,
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] => {
                self.expr(expr, env)?.as_integer_literal().unwrap_or(-1)
            }
            _ => -1,
        };
        if !(0..=1).contains(&sign) {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("{} takes 0 or 1 as its argument", call.name),
            )
            .into());
        }
        let counter = match &env.scope.sequence {
            Some(counter) => counter.clone(),
            None if env.clause == "FROM" || env.scope.columns.is_empty() => {
                return Ok(TypedExpr::integer(0));
            }
            None => {
                env.scope.wants_row_number.set(true);
                Expr::Column(PlanColumn::from_name(crate::scope::ROW_NUMBER))
            }
        };
        // Counters wrap around at their width.
        let lit = |value: i64| datafusion::logical_expr::lit(value);
        let counter = match (bits, sign) {
            (64, _) => counter,
            (bits, 0) => counter % lit(1i64 << bits),
            // After the greatest value comes the least one.
            (bits, _) => {
                let half = 1i64 << (bits - 1);
                (counter + lit(half)) % lit(2 * half) - lit(half)
            }
        };
        Ok(TypedExpr::new(counter, SqlType::Number { precision, scale: 0 }, false))
    }

    fn grouping(&mut self, call: &Call<'_>, env: &Env) -> Result<TypedExpr> {
        if !env.allow_aggregates {
            return Err(function_misplaced(
                "aggregate",
                &call.name,
                env,
                sqlparser::tokenizer::Span::empty(),
            ));
        }
        let inner = Env { allow_aggregates: false, allow_windows: false, ..env.clone() };
        let args = self.arguments(&call.name, &call.args, &inner)?;
        if args.is_empty() {
            return Err(UserError::new(
                Code::ArgumentCount,
                format!("not enough arguments for function [{}]", call.name),
            )
            .into());
        }
        let args = args.into_iter().map(|arg| arg.expr).collect();
        let bits = plan_cast(grouping_udaf().call(args), ArrowType::Int64);
        Ok(TypedExpr::new(bits, SqlType::Number { precision: 10, scale: 0 }, false))
    }

    /// `IDENTIFIER('t.c')` as a column.
    fn identifier(&mut self, call: &Call<'_>, env: &Env) -> Result<TypedExpr> {
        let [FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))] = call.args.as_slice() else {
            return unsupported("this form of IDENTIFIER");
        };
        let text = self.expr(expr, env)?.as_text_literal();
        let text = text.ok_or_else(|| UserError::syntax("IDENTIFIER takes a constant text"))?;
        let name = frazil_dialect::parse_object_name_text(&text)?;
        let parts: Vec<ast::Ident> = [name.database, name.schema, Some(name.name)]
            .into_iter()
            .flatten()
            .map(|part| ast::Ident::with_quote('"', part))
            .collect();
        self.name(&parts, env)
    }

    /// As written with CAST.
    pub(crate) fn cast_explicit(&self, value: TypedExpr, to: &SqlType) -> Result<TypedExpr> {
        Ok(cast(value, to, CastMode::Explicit, self.ctx.facts)?)
    }

    /// As the language casts by itself.
    pub(crate) fn cast_to(&self, value: TypedExpr, to: &SqlType) -> Result<TypedExpr> {
        Ok(cast(value, to, CastMode::Implicit, self.ctx.facts)?)
    }
}

/// Functions whose arguments have names, in order, with what stands for one left out.
const NAMED_ARGUMENTS: &[(&str, &[&str])] = &[("ROUND", &["EXPR", "SCALE", "ROUNDING_MODE"])];

/// Named arguments in their order; none where none is named.
fn placed_arguments(name: &str, args: &[&FunctionArg]) -> Result<Option<Vec<FunctionArg>>> {
    if !args.iter().any(|arg| matches!(arg, FunctionArg::Named { .. })) {
        return Ok(None);
    }
    let Some((_, names)) = NAMED_ARGUMENTS.iter().find(|(known, _)| *known == name) else {
        return Ok(None);
    };
    let mut slots: Vec<Option<FunctionArgExpr>> = vec![None; names.len()];
    for (index, arg) in args.iter().enumerate() {
        let (slot, value) = match arg {
            FunctionArg::Named { name, arg, operator: FunctionArgOperator::RightArrow } => {
                let upper = name.value.to_uppercase();
                (names.iter().position(|known| *known == upper), arg)
            }
            FunctionArg::Unnamed(arg) => (Some(index).filter(|i| *i < names.len()), arg),
            FunctionArg::Named { name: _, arg, operator: _ }
            | FunctionArg::ExprNamed { name: _, arg, operator: _ } => (None, arg),
        };
        let free = slot.and_then(|slot| slots.get_mut(slot)).filter(|slot| slot.is_none());
        let Some(free) = free else {
            return Err(UserError::new(
                Code::InvalidArgument,
                format!("{name} has no argument {arg}, or it is given twice"),
            )
            .into());
        };
        *free = Some(value.clone());
    }
    let last = slots.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    // A scale that is left out before a rounding mode is 0.
    let zero = || {
        let zero = ast::Value::Number("0".into(), false);
        FunctionArgExpr::Expr(Syntax::Value(zero.into()))
    };
    let placed = slots.into_iter().take(last).map(|slot| slot.unwrap_or_else(zero));
    Ok(Some(placed.map(FunctionArg::Unnamed).collect()))
}

/// Whether the first argument of DATE_TRUNC is the part, as a word or a text.
fn is_date_part(arg: &FunctionArg) -> bool {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => match expr {
            Syntax::Value(ast::ValueWithSpan {
                value: ast::Value::SingleQuotedString(_), ..
            }) => true,
            expr => date_part("DATE_TRUNC", 0, expr, 2).is_some(),
        },
        _ => false,
    }
}

/// The part an argument names, if the function takes a date part there and this is one.
fn date_part(name: &str, index: usize, expr: &Syntax, count: usize) -> Option<String> {
    let Syntax::Identifier(ident) = expr else { return None };
    let word = keyword(ident)?;
    let takes = DATE_PART_ARGUMENTS.iter().any(|(function, at)| *function == name && *at == index);
    // DATE_TRUNC(date, part) is an older order of the arguments.
    let swapped = name == "DATE_TRUNC" && index == 1 && count == 2;
    let known = matches!(
        word.as_str(),
        "YEAR"
            | "YEARS"
            | "Y"
            | "YY"
            | "YYY"
            | "YYYY"
            | "YR"
            | "YRS"
            | "QUARTER"
            | "QUARTERS"
            | "Q"
            | "QTR"
            | "QTRS"
            | "MONTH"
            | "MONTHS"
            | "MM"
            | "MON"
            | "MONS"
            | "WEEK"
            | "WEEKS"
            | "W"
            | "WK"
            | "WEEKOFYEAR"
            | "WOY"
            | "WY"
            | "WEEKISO"
            | "WEEK_ISO"
            | "WEEKOFYEARISO"
            | "WEEKOFYEAR_ISO"
            | "DAY"
            | "DAYS"
            | "D"
            | "DD"
            | "DAYOFMONTH"
            | "DAYOFWEEK"
            | "DAYOFWEEKISO"
            | "DAYOFWEEK_ISO"
            | "WEEKDAY"
            | "WEEKDAYISO"
            | "WEEKDAY_ISO"
            | "DOW"
            | "DW"
            | "DW_ISO"
            | "DOW_ISO"
            | "DAYOFYEAR"
            | "YEARDAY"
            | "DOY"
            | "DY"
            | "YEAROFWEEK"
            | "YEAROFWEEKISO"
            | "HOUR"
            | "HOURS"
            | "H"
            | "HH"
            | "HR"
            | "HRS"
            | "MINUTE"
            | "MINUTES"
            | "M"
            | "MI"
            | "MIN"
            | "MINS"
            | "SECOND"
            | "SECONDS"
            | "S"
            | "SEC"
            | "SECS"
            | "MILLISECOND"
            | "MILLISECONDS"
            | "MS"
            | "MSEC"
            | "MICROSECOND"
            | "MICROSECONDS"
            | "US"
            | "USEC"
            | "NANOSECOND"
            | "NANOSECONDS"
            | "NS"
            | "NSEC"
            | "NANOSEC"
            | "NSECOND"
            | "NSECONDS"
            | "NANOSECS"
            | "EPOCH"
            | "EPOCH_SECOND"
            | "EPOCH_SECONDS"
            | "EPOCH_MILLISECOND"
            | "EPOCH_MILLISECONDS"
            | "EPOCH_MICROSECOND"
            | "EPOCH_MICROSECONDS"
            | "EPOCH_NANOSECOND"
            | "EPOCH_NANOSECONDS"
            | "TIMEZONE_HOUR"
            | "TZH"
            | "TIMEZONE_MINUTE"
            | "TZM"
    );
    ((takes || swapped) && known).then(|| word.to_lowercase())
}

/// Whether an expression calls an aggregate (window functions are not looked into for theirs,
/// except their arguments).
pub(crate) fn contains_aggregate(expr: &Expr) -> bool {
    contains(expr, |node| matches!(node, Expr::AggregateFunction(_)))
}

pub(crate) fn contains_window(expr: &Expr) -> bool {
    contains(expr, |node| matches!(node, Expr::WindowFunction(_)))
}

pub(super) fn contains(expr: &Expr, test: impl Fn(&Expr) -> bool) -> bool {
    let mut found = false;
    let visited = expr.apply(|node| {
        if test(node) {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok() && found
}

/// Snowflake's error for a function that is not there, with the nearest names we have.
pub(super) fn unknown_function(name: &str, span: sqlparser::tokenizer::Span) -> PlannerError {
    let mut near: Vec<(usize, &'static str)> = frazil_functions::names()
        .into_iter()
        .map(|(known, _)| (distance(name, known), known))
        .filter(|(distance, known)| *distance <= 1 + known.len() / 5)
        .collect();
    near.sort();
    near.dedup();
    if name.contains('.') {
        let message = format!("Unknown user-defined function {}", name.to_uppercase());
        return UserError::new(Code::UnknownUserFunction, message).at(position(span)).into();
    }
    let mut message = format!("Unknown function {name}");
    let names: Vec<&str> = near.iter().take(3).map(|(_, known)| *known).collect();
    if !names.is_empty() {
        message.push_str(&format!(". Did you mean {}?", names.join(" or ")));
    }
    UserError::new(Code::UnknownFunction, message).at(position(span)).into()
}

/// Edits (insertions, deletions, replacements) between two names.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
