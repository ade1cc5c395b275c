//! Everything outside a statement that it names: looked up before planning, all catalog IO here.

pub(crate) mod changes;
pub(crate) mod foreign_view;
pub(crate) mod objects;
pub(crate) mod policies;
pub(crate) mod relation;
pub(crate) mod results;
pub(crate) mod stages;
pub(crate) mod table_functions;
pub(crate) mod tags;
pub(crate) mod training_sources;

use std::collections::HashMap;

use frazil_common::UserError;
use frazil_planner::{Reference, Resolved};
use futures::future::BoxFuture;

use crate::statements::context::{StatementContext, Work};

/// Views may read views, to this depth.
const VIEW_DEPTH_MAX: usize = 32;

/// Resolves references, in order.
///
/// # Errors
/// The user's: an object that is absent or not visible, a stage without files, and so on.
pub(crate) fn resolve<'a>(
    context: &'a StatementContext,
    work: &'a mut Work,
    references: Vec<Reference>,
    depth: usize,
) -> BoxFuture<'a, Result<Resolved, UserError>> {
    Box::pin(async move {
        if depth > VIEW_DEPTH_MAX {
            return Err(UserError::new(
                frazil_common::Code::InvalidStatement,
                format!("Views are nested more than {VIEW_DEPTH_MAX} deep."),
            ));
        }
        let mut resolved = Resolved {
            relations: HashMap::new(),
            models: HashMap::new(),
            sequences: HashMap::new(),
        };
        for reference in references {
            let without_past = match &reference {
                Reference::Changes { .. } => Some("CHANGES"),
                Reference::Stage { .. } => Some("a stage"),
                Reference::ResultScan { .. } => Some("RESULT_SCAN"),
                Reference::TableFunction { .. } => Some("a table function"),
                _ => None,
            };
            if let Some(what) = without_past.filter(|_| relation::reads_past_view(context)) {
                return Err(UserError::unsupported(format!(
                    "time travel on a view that reads {what}"
                )));
            }
            match &reference {
                Reference::Table { name, travel } => {
                    let relation =
                        relation::named(context, work, name, travel.as_ref(), depth).await?;
                    resolved.relations.insert(reference, relation);
                }
                Reference::Changes { name, append_only, from, to } => {
                    let relation = changes::relation(
                        context,
                        work,
                        name,
                        *append_only,
                        from,
                        to.as_ref(),
                        depth,
                    )
                    .await?;
                    resolved.relations.insert(reference, relation);
                }
                Reference::Stage { path, options } => {
                    let relation = stages::stage_relation(context, path, options).await?;
                    resolved.relations.insert(reference, relation);
                }
                Reference::ResultScan { query_id } => {
                    let relation = results::result_relation(context, query_id).await?;
                    resolved.relations.insert(reference, relation);
                }
                Reference::TableFunction { name, arguments } => {
                    let relation =
                        table_functions::call(context, work, name, arguments, depth).await?;
                    resolved.relations.insert(reference, relation);
                }
                Reference::Model { name, version } => {
                    let model =
                        crate::models::resolve_model(context, name, version.as_deref()).await?;
                    resolved.models.insert(reference, model);
                }
                Reference::Sequence { name } => {
                    let sequence = objects::sequence(context, name).await?;
                    resolved.sequences.insert(reference, sequence);
                }
            }
        }
        Ok(resolved)
    })
}
