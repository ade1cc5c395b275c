//! Window functions: OVER, named windows, frames; and sort keys of every ORDER BY.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{
    Expr, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits, lit,
};
use frazil_common::{SqlType, UserError};
use frazil_functions::{TypedExpr, WindowCall, window};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, OrderByExpr, Spanned};

use super::column::function_misplaced;
use super::function::{Call, unknown_function};
use crate::binder::Binder;
use crate::error::{At, Result, position, refuse, unsupported};
use crate::names::fold;
use crate::scope::Env;

/// The expression to group, sort, join and compare by: a key for types that Arrow's kernels do
/// not order as Snowflake does.
pub(crate) fn key_of(value: &TypedExpr) -> Expr {
    if needs_key(&value.sql_type) {
        frazil_functions::variant::sort_key_udf().call(vec![value.expr.clone()])
    } else {
        value.expr.clone()
    }
}

/// The expression by which a window tells peers and partitions, and an ORDER BY ties that its further keys
/// put in order. Operators tell floats apart by their bits, of which -0 has others than 0: adding nothing
/// makes one of the two.
pub(crate) fn peer_key(value: &TypedExpr) -> Expr {
    match value.sql_type {
        SqlType::Float => value.expr.clone() + lit(0.0_f64),
        _ => key_of(value),
    }
}

pub(crate) fn needs_key(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Variant | SqlType::Object | SqlType::Array => true,
        SqlType::Timestamp { zone, scale: _, nanos: _ } => {
            matches!(zone, frazil_common::TimeZoneKind::Tz)
        }
        SqlType::Number { precision: _, scale: _ }
        | SqlType::Float
        | SqlType::Varchar { length: _ }
        | SqlType::Binary { length: _ }
        | SqlType::Boolean
        | SqlType::Date
        | SqlType::Time { scale: _, nanos: _ }
        | SqlType::Vector { element: _, dimension: _ }
        | SqlType::Null => false,
    }
}

/// Whether the engine knows no distance between values of a type's sort keys, and so no RANGE frame.
/// Rows with the same key are a group then, which is the same where no distance is asked for.
fn lacks_distance(sql_type: &SqlType) -> bool {
    needs_key(sql_type) || matches!(sql_type, SqlType::Binary { .. } | SqlType::Time { .. })
}

/// Direction and place of NULLs: they are the greatest values unless said otherwise.
pub(crate) fn direction(options: &ast::OrderByOptions) -> (bool, bool) {
    let ast::OrderByOptions { asc, nulls_first } = options;
    let ascending = asc.unwrap_or(true);
    (ascending, nulls_first.unwrap_or(!ascending))
}

impl Binder<'_> {
    /// Sort keys of an ORDER BY inside an expression.
    pub(super) fn sort_exprs(
        &mut self,
        order_by: &[&OrderByExpr],
        env: &Env,
    ) -> Result<Vec<SortExpr>> {
        // The last key has no ties to put in order, and a lone one is the value itself to some functions.
        let key = if order_by.len() > 1 { peer_key } else { key_of };
        Ok(self.sort_keys(order_by, key, env)?.into_iter().map(|(_, key)| key).collect())
    }

    /// Sort keys, each with the type of what is sorted by.
    fn sort_keys(
        &mut self,
        order_by: &[&OrderByExpr],
        key_of: fn(&TypedExpr) -> Expr,
        env: &Env,
    ) -> Result<Vec<(SqlType, SortExpr)>> {
        order_by
            .iter()
            .map(|OrderByExpr { expr, options, with_fill }| {
                refuse(with_fill.is_some(), "WITH FILL")?;
                let (ascending, nulls_first) = direction(options);
                let value = self.expr(expr, env)?;
                let key = SortExpr::new(key_of(&value), ascending, nulls_first);
                Ok((value.sql_type, key))
            })
            .collect()
    }

    pub(super) fn window_call(
        &mut self,
        call: &Call<'_>,
        over: &ast::WindowType,
        env: &Env,
    ) -> Result<TypedExpr> {
        let Call { name, args, distinct, ignore_nulls, order_by, filter, over: _ } = call;
        let Some(function) = window(name) else {
            if frazil_functions::scalar(name).is_some() {
                return Err(UserError::syntax(format!("function {name} takes no OVER")).into());
            }
            return Err(unknown_function(name, sqlparser::tokenizer::Span::empty()));
        };
        if !env.allow_windows {
            return Err(function_misplaced(
                "window",
                name,
                env,
                sqlparser::tokenizer::Span::empty(),
            ));
        }
        refuse(filter.is_some(), &format!("{name} … FILTER … OVER"))?;
        let inner = Env { allow_windows: false, ..env.clone() };
        // A window function may be computed from the values of another one.
        let argument = env.clone();
        let counts_rows = name == "COUNT"
            && matches!(args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        let bound = if counts_rows { Vec::new() } else { self.arguments(name, args, &argument)? };
        let spec = self.window_spec(over, env, 0)?;
        let ast::WindowSpec { window_name: _, partition_by, order_by: window_order, window_frame } =
            &spec;
        let mut partitions = Vec::with_capacity(partition_by.len());
        for expr in partition_by {
            partitions.push(peer_key(&self.expr(expr, &inner)?));
        }
        let order: Vec<&OrderByExpr> = order_by.iter().copied().chain(window_order).collect();
        let keys = self.sort_keys(&order, peer_key, &inner)?;
        let by_groups = keys.first().is_some_and(|(sql_type, _)| lacks_distance(sql_type));
        let frame = match window_frame {
            None => None,
            Some(frame) => Some(self.frame(frame, by_groups, env)?),
        };
        let call = WindowCall {
            args: bound,
            partition_by: partitions,
            order_by: keys.into_iter().map(|(_, key)| key).collect(),
            frame,
            by_groups,
            ignore_nulls: *ignore_nulls,
            distinct: *distinct,
        };
        Ok(function.bind(call, self.ctx.facts)?)
    }

    /// The specification behind OVER, named windows filled in.
    fn window_spec(
        &mut self,
        over: &ast::WindowType,
        env: &Env,
        depth: usize,
    ) -> Result<ast::WindowSpec> {
        let named = |ident: &ast::Ident| -> Result<ast::NamedWindowExpr> {
            env.windows.get(&fold(ident)).cloned().ok_or_else(|| {
                UserError::invalid_identifier(fold(ident)).at(position(ident.span)).into()
            })
        };
        if depth > 32 {
            return Err(UserError::syntax("named windows refer to each other").into());
        }
        match over {
            ast::WindowType::NamedWindow(ident) => {
                let over = as_window_type(named(ident)?);
                self.window_spec(&over, env, depth + 1)
            }
            ast::WindowType::WindowSpec(spec) => {
                let ast::WindowSpec { window_name, partition_by, order_by, window_frame } = spec;
                let Some(base) = window_name else { return Ok(spec.clone()) };
                let base = self.window_spec(&as_window_type(named(base)?), env, depth + 1)?;
                let ast::WindowSpec {
                    window_name: _,
                    partition_by: base_partition,
                    order_by: base_order,
                    window_frame: base_frame,
                } = base;
                Ok(ast::WindowSpec {
                    window_name: None,
                    partition_by: if partition_by.is_empty() {
                        base_partition
                    } else {
                        partition_by.clone()
                    },
                    order_by: if order_by.is_empty() { base_order } else { order_by.clone() },
                    window_frame: window_frame.clone().or(base_frame),
                })
            }
        }
    }

    fn frame(
        &mut self,
        frame: &ast::WindowFrame,
        by_groups: bool,
        env: &Env,
    ) -> Result<WindowFrame> {
        let ast::WindowFrame { units, start_bound, end_bound } = frame;
        let units = match units {
            ast::WindowFrameUnits::Rows => WindowFrameUnits::Rows,
            ast::WindowFrameUnits::Range if by_groups => {
                let bounds = [Some(start_bound), end_bound.as_ref()];
                let distance = bounds.into_iter().flatten().any(|bound| match bound {
                    ast::WindowFrameBound::CurrentRow => false,
                    ast::WindowFrameBound::Preceding(by) | ast::WindowFrameBound::Following(by) => {
                        by.is_some()
                    }
                });
                refuse(distance, "RANGE frames with a distance, for sort keys of this type")?;
                WindowFrameUnits::Groups
            }
            ast::WindowFrameUnits::Range => WindowFrameUnits::Range,
            ast::WindowFrameUnits::Groups => return unsupported("GROUPS frames"),
        };
        let start = self.frame_bound(start_bound, units, env)?;
        let end = match end_bound {
            None => WindowFrameBound::CurrentRow,
            Some(bound) => self.frame_bound(bound, units, env)?,
        };
        if matches!(&start, WindowFrameBound::Following(value) if value.is_null())
            || matches!(&end, WindowFrameBound::Preceding(value) if value.is_null())
        {
            return Err(UserError::syntax("the window frame ends before it starts").into());
        }
        Ok(WindowFrame::new_bounds(units, start, end))
    }

    fn frame_bound(
        &mut self,
        bound: &ast::WindowFrameBound,
        units: WindowFrameUnits,
        env: &Env,
    ) -> Result<WindowFrameBound> {
        let unbounded = match units {
            WindowFrameUnits::Range => ScalarValue::Null,
            WindowFrameUnits::Rows | WindowFrameUnits::Groups => ScalarValue::UInt64(None),
        };
        Ok(match bound {
            ast::WindowFrameBound::CurrentRow => WindowFrameBound::CurrentRow,
            ast::WindowFrameBound::Preceding(None) => WindowFrameBound::Preceding(unbounded),
            ast::WindowFrameBound::Following(None) => WindowFrameBound::Following(unbounded),
            ast::WindowFrameBound::Preceding(Some(value)) => {
                WindowFrameBound::Preceding(self.frame_value(value, units, env)?)
            }
            ast::WindowFrameBound::Following(Some(value)) => {
                WindowFrameBound::Following(self.frame_value(value, units, env)?)
            }
        })
    }

    fn frame_value(
        &mut self,
        value: &ast::Expr,
        units: WindowFrameUnits,
        env: &Env,
    ) -> Result<ScalarValue> {
        if let ast::Expr::Interval(interval) = value {
            if units != WindowFrameUnits::Range {
                return Err(UserError::syntax("an interval bounds RANGE frames only").into());
            }
            let parts = self.interval_parts(interval, env)?;
            let text: Vec<String> =
                parts.iter().map(|part| format!("{} {}", part.count, part.unit)).collect();
            // The planner's type coercion reads it as an interval of the sort key's type.
            return Ok(ScalarValue::Utf8(Some(text.join(" "))));
        }
        let number = self.expr(value, env).at(value.span())?;
        match number.as_integer_literal() {
            Some(count) if count >= 0 => Ok(match units {
                WindowFrameUnits::Range => ScalarValue::Utf8(Some(count.to_string())),
                WindowFrameUnits::Rows | WindowFrameUnits::Groups => {
                    ScalarValue::UInt64(Some(count as u64))
                }
            }),
            _ => Err(UserError::syntax("a window frame is bounded by a constant number")
                .at(position(value.span()))
                .into()),
        }
    }
}

fn as_window_type(named: ast::NamedWindowExpr) -> ast::WindowType {
    match named {
        ast::NamedWindowExpr::NamedWindow(ident) => ast::WindowType::NamedWindow(ident),
        ast::NamedWindowExpr::WindowSpec(spec) => ast::WindowType::WindowSpec(spec),
    }
}
