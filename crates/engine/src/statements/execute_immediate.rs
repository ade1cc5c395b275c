//! EXECUTE IMMEDIATE: one statement given as text, run in place of the statement that gives it.

use frazil_common::{Code, UserError};
use frazil_dialect::{ExecuteImmediate, Statement, parse_statements_with};
use frazil_functions::TypedExpr;
use frazil_planner::{Resolved, evaluate_expression};

use crate::session::binds::Names;
use crate::statements::context::StatementContext;
use crate::statements::query::plan_context;

/// A statement may give another one this often.
const DEPTH_MAX: usize = 5;

/// The statement to run: the one itself, or the one that its text holds. The context then has the
/// inner text and the binds of USING.
///
/// # Errors
/// A text that is no single statement of SQL, such as a script; a variable that is not set.
pub(crate) fn unwrapped(
    context: &mut StatementContext,
    statement: Statement,
) -> Result<Statement, UserError> {
    let mut statement = statement;
    while let Statement::ExecuteImmediate(ExecuteImmediate { statement: text, using }) = &statement
    {
        context.depth += 1;
        if context.depth > DEPTH_MAX {
            return Err(UserError::new(
                Code::InvalidStatement,
                format!("EXECUTE IMMEDIATE is nested more than {DEPTH_MAX} deep."),
            ));
        }
        let empty = Resolved::default();
        let text = evaluate_expression(text, &plan_context(context, &empty, &context.text))?
            .as_text_literal()
            .ok_or_else(|| UserError::syntax("EXECUTE IMMEDIATE takes a text"))?;
        let binds = using
            .iter()
            .map(|name| {
                context.variables().get(name).cloned().ok_or_else(|| {
                    UserError::new(
                        Code::InvalidIdentifier,
                        format!("Session variable '${name}' does not exist"),
                    )
                })
            })
            .collect::<Result<Vec<TypedExpr>, _>>()?;
        let first = text.split_whitespace().next().unwrap_or_default().to_uppercase();
        let is_script = first == "DECLARE"
            || first == "BEGIN"
                && text.trim_end().trim_end_matches(';').to_uppercase().ends_with("END");
        if is_script {
            return Err(UserError::unsupported("a script in EXECUTE IMMEDIATE"));
        }
        let session = context.session.clone();
        let names = Names { binds: &[], state: &session.state };
        let mut parsed = parse_statements_with(&text, &names)?;
        let inner = parsed
            .pop()
            .filter(|_| parsed.is_empty())
            .ok_or_else(|| UserError::unsupported("several statements in EXECUTE IMMEDIATE"))?;
        context.text = text;
        context.binds = binds;
        statement = inner.statement;
    }
    Ok(statement)
}
