//! SEARCH, whose first argument may be a list of columns or a star.

use frazil_common::{Code, UserError};
use frazil_functions::TypedExpr;
use sqlparser::ast::{self, Expr as Syntax, FunctionArg, FunctionArgExpr, FunctionArgOperator};

use super::function::Call;
use super::operator;
use crate::binder::Binder;
use crate::error::{Result, refuse, unsupported};
use crate::scope::Env;

impl Binder<'_> {
    pub(super) fn search(&mut self, call: &Call<'_>, env: &Env) -> Result<TypedExpr> {
        let Call { name, args, distinct, ignore_nulls, order_by, filter, over: _ } = call;
        let plain = !*distinct && !*ignore_nulls && order_by.is_empty() && filter.is_none();
        refuse(!plain, "clauses in the arguments of SEARCH")?;
        let mut places: Vec<&FunctionArgExpr> = Vec::new();
        let (mut analyzer, mut mode) = (None, None);
        for arg in args {
            match arg {
                FunctionArg::Unnamed(value) => places.push(value),
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(value),
                    operator: FunctionArgOperator::RightArrow,
                } => {
                    let value = self.constant(value, "SEARCH")?.as_text_literal();
                    match name.value.to_uppercase().as_str() {
                        "ANALYZER" => analyzer = value,
                        "SEARCH_MODE" => mode = value,
                        other => {
                            return Err(UserError::new(
                                Code::InvalidArgument,
                                format!("SEARCH has no argument {other}"),
                            )
                            .into());
                        }
                    }
                }
                other => return unsupported(format!("argument {other} of SEARCH")),
            }
        }
        let [data, FunctionArgExpr::Expr(text)] = places.as_slice() else {
            return Err(UserError::new(
                Code::ArgumentCount,
                format!("function [{name}] takes data and a text, got {} arguments", places.len()),
            )
            .into());
        };
        let text = self.expr(text, env)?;
        let data = self.searched(data, env)?;
        let facts = self.ctx.facts;
        Ok(frazil_functions::search(data, text, analyzer.as_deref(), mode.as_deref(), facts)?)
    }

    /// The columns and texts that are searched; of a star only those that hold text.
    fn searched(&mut self, data: &FunctionArgExpr, env: &Env) -> Result<Vec<TypedExpr>> {
        let star: Vec<&FunctionArg> = match data {
            FunctionArgExpr::Expr(Syntax::Function(function))
                if function.name.to_string() == frazil_dialect::COLUMN_LIST =>
            {
                match &function.args {
                    ast::FunctionArguments::List(list) => list.args.iter().collect(),
                    _ => Vec::new(),
                }
            }
            FunctionArgExpr::Expr(expr) => {
                let list = operator::tuple(expr).unwrap_or(std::slice::from_ref(expr));
                return self.exprs(list, env);
            }
            star => {
                let star = FunctionArg::Unnamed(star.clone());
                return self.searched_columns(&[&star], env);
            }
        };
        self.searched_columns(&star, env)
    }

    fn searched_columns(&mut self, star: &[&FunctionArg], env: &Env) -> Result<Vec<TypedExpr>> {
        let mut columns = self.arguments("SEARCH", star, env)?;
        columns.retain(|column| frazil_functions::searchable(&column.sql_type));
        Ok(columns)
    }
}
