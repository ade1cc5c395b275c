//! FILTER, TRANSFORM and REDUCE with their lambda expressions.

use std::rc::Rc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::logical_expr::Expr;
use frazil_common::{Code, SqlType, UserError};
use frazil_functions::cast::{CastMode, cast};
use frazil_functions::coerce::common_type;
use frazil_functions::{Lambda, LambdaKind, TypedExpr, lambda_column};
use sqlparser::ast::{self, FunctionArg, FunctionArgExpr, Spanned};

use super::function::Call;
use crate::binder::Binder;
use crate::error::{At, Result, position, refuse};
use crate::join::has_subquery;
use crate::names::fold;
use crate::scope::{Env, ScopeColumn};
use crate::types::sql_type;

/// Which of the functions that take a lambda this is.
pub(super) fn kind_of(name: &str) -> Option<LambdaKind> {
    match name {
        "FILTER" => Some(LambdaKind::Filter),
        "TRANSFORM" => Some(LambdaKind::Transform),
        "REDUCE" => Some(LambdaKind::Reduce),
        _ => None,
    }
}

/// A parameter: its name, the column that stands for it, the type it has in the body.
#[derive(Clone)]
struct Parameter {
    name: String,
    column: String,
    /// As given; the function's own argument is cast to `sql_type`.
    given: SqlType,
    sql_type: SqlType,
}

impl Binder<'_> {
    pub(super) fn higher_order(
        &mut self,
        kind: LambdaKind,
        call: &Call<'_>,
        env: &Env,
    ) -> Result<TypedExpr> {
        let Call { name, args, distinct, ignore_nulls, order_by, filter, over: _ } = call;
        refuse(*distinct, &format!("{name}(DISTINCT …)"))?;
        refuse(*ignore_nulls, &format!("{name} … IGNORE NULLS"))?;
        refuse(!order_by.is_empty(), &format!("{name} … WITHIN GROUP"))?;
        refuse(filter.is_some(), &format!("{name} … FILTER"))?;
        let wanted = if kind == LambdaKind::Reduce { 3 } else { 2 };
        if args.len() != wanted {
            let (code, few) = if args.len() < wanted {
                (Code::ArgumentCount, "not enough")
            } else {
                (Code::TooManyArguments, "too many")
            };
            return Err(UserError::new(
                code,
                format!(
                    "{few} arguments for function [{name}], expected {wanted}, got {}",
                    args.len()
                ),
            )
            .into());
        }
        let (last, values) = (args[wanted - 1], &args[..wanted - 1]);
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Lambda(lambda))) = last else {
            return Err(UserError::new(
                Code::InvalidArgumentTypes,
                format!("the last argument of {name} must be a lambda expression"),
            )
            .into());
        };
        let mut values = self.arguments(name, values, env)?.into_iter();
        let array = values.next().unwrap_or_else(TypedExpr::null);
        let array = match array.sql_type {
            SqlType::Array | SqlType::Variant => array,
            SqlType::Null => self.cast_to(array, &SqlType::Array)?,
            other => {
                return Err(UserError::new(
                    Code::InvalidArgumentTypes,
                    format!("Invalid argument types for function '{name}': ({other}, LAMBDA)"),
                )
                .into());
            }
        };
        let names = self.lambda_parameters(lambda, if wanted == 3 { 2 } else { 1 })?;
        match kind {
            LambdaKind::Filter | LambdaKind::Transform => {
                let (parameter, given) = &names[0];
                let element = self.lambda_element(parameter, given.clone());
                let parameters = [element];
                let mut body = self.lambda_body(lambda, &parameters, env)?;
                if kind == LambdaKind::Filter {
                    body = self.cast_to(body, &SqlType::Boolean).at(lambda.body.span())?;
                }
                Ok(self.lambda_call(kind, &parameters, body, array, None)?)
            }
            LambdaKind::Reduce => {
                let initial = values.next().unwrap_or_else(TypedExpr::null);
                self.reduce(lambda, &names, array, initial, env)
            }
        }
    }

    /// The accumulator's type is the one that the initial value and the body have in common.
    fn reduce(
        &mut self,
        lambda: &ast::LambdaFunction,
        names: &[(String, Option<SqlType>)],
        array: TypedExpr,
        initial: TypedExpr,
        env: &Env,
    ) -> Result<TypedExpr> {
        let (accumulator, declared) = &names[0];
        let (element, element_type) = &names[1];
        let element = self.lambda_element(element, element_type.clone());
        let mut held = declared.clone().unwrap_or_else(|| initial.sql_type.clone());
        let column = self.unique_column("accumulator");
        let mut tries = 0;
        loop {
            let parameters = [
                Parameter {
                    name: accumulator.clone(),
                    column: column.clone(),
                    given: held.clone(),
                    sql_type: held.clone(),
                },
                element.clone(),
            ];
            let body = self.lambda_body(lambda, &parameters, env)?;
            let wanted =
                common_type(&held, &body.sql_type).unwrap_or_else(|| body.sql_type.clone());
            if wanted == held || tries == 3 {
                let body = self.cast_to(body, &held).at(lambda.body.span())?;
                let initial = self.cast_to(initial, &held)?;
                return self.lambda_call(
                    LambdaKind::Reduce,
                    &parameters,
                    body,
                    array,
                    Some(initial),
                );
            }
            // Sums and texts grow from step to step: their widest type holds all of them.
            held = match wanted {
                SqlType::Number { precision: _, scale } => SqlType::Number { precision: 38, scale },
                SqlType::Varchar { .. } => SqlType::TEXT,
                SqlType::Binary { .. } => SqlType::BYTES,
                other => other,
            };
            tries += 1;
        }
    }

    fn lambda_parameters(
        &mut self,
        lambda: &ast::LambdaFunction,
        count: usize,
    ) -> Result<Vec<(String, Option<SqlType>)>> {
        let ast::LambdaFunction { params, body: _, syntax } = lambda;
        refuse(matches!(syntax, ast::LambdaSyntax::LambdaKeyword), "the word LAMBDA")?;
        let params = match params {
            ast::OneOrManyWithParens::One(one) => std::slice::from_ref(one),
            ast::OneOrManyWithParens::Many(many) => many.as_slice(),
        };
        if params.len() != count {
            return Err(UserError::new(
                Code::ArgumentCount,
                format!("the lambda expression needs {count} parameters, got {}", params.len()),
            )
            .into());
        }
        params
            .iter()
            .map(|ast::LambdaFunctionParameter { name, data_type }| {
                Ok((fold(name), data_type.as_ref().map(sql_type).transpose()?))
            })
            .collect()
    }

    /// An element is a VARIANT unless its type is given.
    fn lambda_element(&mut self, name: &str, declared: Option<SqlType>) -> Parameter {
        Parameter {
            name: name.to_string(),
            column: self.unique_column("element"),
            given: SqlType::Variant,
            sql_type: declared.unwrap_or(SqlType::Variant),
        }
    }

    fn lambda_body(
        &mut self,
        lambda: &ast::LambdaFunction,
        parameters: &[Parameter],
        env: &Env,
    ) -> Result<TypedExpr> {
        let mut scope = env.scope.as_ref().clone();
        for column in &mut scope.columns {
            column.bare &= parameters.iter().all(|parameter| parameter.name != column.name);
        }
        for Parameter { name, column, given, sql_type } in parameters {
            let value = TypedExpr::new(lambda_column(column), given.clone(), true);
            let value = cast(value, sql_type, CastMode::Explicit, self.ctx.facts)?;
            scope.columns.push(ScopeColumn {
                relation: None,
                name: name.clone(),
                sql_type: sql_type.clone(),
                nullable: true,
                expr: value.expr,
                in_star: false,
                bare: true,
                uses: Vec::new(),
            });
        }
        let inner = Env {
            scope: Rc::new(scope),
            allow_aggregates: false,
            allow_windows: false,
            ..env.clone()
        };
        let body = self.expr(&lambda.body, &inner)?;
        if has_subquery(&body.expr) {
            return Err(UserError::unsupported("a subquery in a lambda expression")
                .at(position(lambda.body.span()))
                .into());
        }
        Ok(body)
    }

    /// Columns that the body reads of its rows become arguments of the call.
    fn lambda_call(
        &mut self,
        kind: LambdaKind,
        parameters: &[Parameter],
        body: TypedExpr,
        array: TypedExpr,
        initial: Option<TypedExpr>,
    ) -> Result<TypedExpr> {
        let TypedExpr { expr, sql_type, nullable } = body;
        let mut captured: Vec<(String, Expr)> = Vec::new();
        let expr = expr
            .transform_up(|node| {
                let own = match &node {
                    Expr::Column(column) => {
                        column.relation.is_none()
                            && parameters.iter().any(|parameter| parameter.column == column.name)
                    }
                    Expr::OuterReferenceColumn(..) => false,
                    _ => return Ok(Transformed::no(node)),
                };
                if own {
                    return Ok(Transformed::no(node));
                }
                let name = match captured.iter().find(|(_, held)| *held == node) {
                    Some((name, _)) => name.clone(),
                    None => {
                        let name = self.unique_column("captured");
                        captured.push((name.clone(), node));
                        name
                    }
                };
                Ok(Transformed::yes(lambda_column(&name)))
            })
            .data()?;
        let lambda = Lambda {
            kind,
            parameters: parameters.iter().map(|parameter| parameter.column.clone()).collect(),
            captured,
            body: TypedExpr::new(expr, sql_type, nullable),
        };
        Ok(lambda.call(array.expr, initial.map(|initial| initial.expr)))
    }
}
