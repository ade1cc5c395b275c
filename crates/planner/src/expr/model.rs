//! Methods of models: `m!PREDICT(a, b)`, `m!PREDICT(x => a)`, `m!PREDICT(*)`.

use frazil_common::{Code, ObjectName, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, Spanned,
};

use crate::binder::Binder;
use crate::error::{Result, position, refuse, unsupported};
use crate::names::fold;
use crate::relation::{ModelMethod, Reference, ResolvedModel};
use crate::scope::Env;

impl Binder<'_> {
    pub(super) fn model_method(
        &mut self,
        function: &ast::Function,
        model: ObjectName,
        version: Option<String>,
        method: &str,
        env: &Env,
    ) -> Result<TypedExpr> {
        let ast::Function {
            name,
            uses_odbc_syntax,
            parameters: _, // The version, read by `model_of_function`.
            args,
            filter,
            null_treatment,
            over,
            within_group,
        } = function;
        refuse(*uses_odbc_syntax, "ODBC escapes")?;
        refuse(filter.is_some(), "FILTER after a model's method")?;
        refuse(null_treatment.is_some(), "IGNORE NULLS after a model's method")?;
        refuse(over.is_some(), "OVER after a model's method")?;
        refuse(!within_group.is_empty(), "WITHIN GROUP after a model's method")?;
        let place = position(name.span());
        let shown = model.to_string();
        let resolved = self
            .ctx
            .resolved
            .models
            .get(&Reference::Model { name: model, version })
            .ok_or_else(|| UserError::not_found("Model", &shown).at(place))?;
        let ResolvedModel { object, version: _, features, methods } = resolved;
        let Some(ModelMethod { udf, returns, extra_arguments, takes_features }) =
            methods.get(method)
        else {
            let mut known: Vec<&str> = methods.keys().map(String::as_str).collect();
            known.sort_unstable();
            let mut message =
                format!("Model {shown} has no method {method}. It has {}.", known.join(", "));
            if method == "PREDICT_PROBA" && known.contains(&"PREDICT") {
                message.push_str(
                    " Classifiers have it: a target of numbers is one of classes with OPTIONS \
                     (task => 'binary') or 'multiclass'.",
                );
            }
            return Err(UserError::new(Code::UnknownFunction, message).at(place).into());
        };
        self.note_usage(object);
        let features = if *takes_features { features.as_slice() } else { &[] };
        let mut values: Vec<Option<TypedExpr>> = vec![None; features.len()];
        let mut extra: Vec<TypedExpr> = Vec::new();
        let mut next = 0;
        let mut named = false;
        for arg in method_arguments(args, method)? {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    let value = self.expr(expr, env)?;
                    if !named && next < features.len() {
                        values[next] = Some(value);
                        next += 1;
                    } else {
                        extra.push(value);
                    }
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => {
                    for (slot, feature) in values.iter_mut().zip(features) {
                        let ident = ast::Ident::with_quote('"', feature.name.clone());
                        // A feature that is no column is told below, all missing ones at once.
                        if let Some(index) = env.scope.find(&[ident])? {
                            let column = &env.scope.columns[index];
                            for (usage, name) in &column.uses {
                                self.uses[*usage].columns.insert(name.clone());
                            }
                            *slot = Some(column.typed());
                        }
                    }
                    named = true;
                }
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow,
                } => {
                    let feature = fold(name);
                    let slot =
                        features.iter().position(|f| f.name == feature).ok_or_else(|| {
                            UserError::new(
                                Code::InvalidIdentifier,
                                format!("Model {shown} has no feature '{feature}'."),
                            )
                            .at(position(name.span))
                        })?;
                    values[slot] = Some(self.expr(expr, env)?);
                    named = true;
                }
                other => return unsupported(format!("argument {other} of {method}")),
            }
        }
        let missing: Vec<&str> = features
            .iter()
            .zip(&values)
            .filter(|(_, value)| value.is_none())
            .map(|(feature, _)| feature.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(UserError::new(
                Code::ArgumentCount,
                format!("{method} of model {shown} misses the features {}.", missing.join(", ")),
            )
            .at(place)
            .into());
        }
        if extra.len() != extra_arguments.len() {
            return Err(UserError::new(
                Code::ArgumentCount,
                format!(
                    "{method} of model {shown} takes {} arguments, got {}.",
                    features.len() + extra_arguments.len(),
                    values.len() + extra.len()
                ),
            )
            .at(place)
            .into());
        }
        let mut args = Vec::with_capacity(values.len() + extra.len());
        for (value, feature) in values.into_iter().flatten().zip(features) {
            args.push(self.cast_to(value, &feature.sql_type)?.expr);
        }
        for (value, sql_type) in extra.into_iter().zip(extra_arguments) {
            args.push(self.cast_to(value, sql_type)?.expr);
        }
        Ok(TypedExpr::new(udf.call(args), returns.clone(), true))
    }
}

fn method_arguments<'s>(args: &'s FunctionArguments, method: &str) -> Result<Vec<&'s FunctionArg>> {
    match args {
        FunctionArguments::None => Ok(Vec::new()),
        FunctionArguments::Subquery(_) => unsupported(format!("{method}(query)")),
        FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment,
            args,
            clauses,
        }) => {
            refuse(duplicate_treatment.is_some(), &format!("{method}(DISTINCT …)"))?;
            refuse(!clauses.is_empty(), &format!("clauses in the arguments of {method}"))?;
            Ok(args.iter().collect())
        }
    }
}
