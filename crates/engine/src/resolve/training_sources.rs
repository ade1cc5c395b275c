//! What a model was trained on, and who may be told of it.
//!
//! The statistics kept with a version tell the values of its training rows, so they are for roles that
//! could read all of those rows now.

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use frazil_catalog::account::{ModelVersionBody, TrainingSource};
use frazil_common::{Code, ObjectKind, ObjectRef, UserError};
use frazil_governance::{INTERNAL_SCHEMA, authorize_accesses, system};
use frazil_planner::Planned;

use crate::models::FoundModel;
use crate::resolve::objects::parents_by_object;
use crate::resolve::policies::may_lift;
use crate::resolve::table_functions::apart_from_session;
use crate::statements::context::{StatementContext, Work};
use crate::statements::query::plan;

/// The objects that a training query reads, by id; none where it reads what has no grants to ask for, as
/// temporary tables, earlier results and the account's own tables.
pub(crate) fn sources_of(planned: &Planned) -> Option<Vec<TrainingSource>> {
    let mut known = true;
    let walked = planned.plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            known &= !tells_of_rows(&scan.table_name);
        }
        Ok(if known { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    if walked.is_err() || !known {
        return None;
    }
    let mut sources: Vec<TrainingSource> = Vec::new();
    for access in &planned.accesses {
        let source = TrainingSource { kind: access.object.kind, id: access.object.id };
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    Some(sources)
}

/// Whether a scan without grants reads anything: GENERATOR does not, nor the turns of a recursive query.
fn tells_of_rows(scan: &TableReference) -> bool {
    match scan {
        TableReference::Partial { schema, table } if &**schema == INTERNAL_SCHEMA => {
            let number = table.strip_prefix('r');
            !number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
        }
        _ => false,
    }
}

/// Demands that the role could read all that a version was trained on, before it is told of the kept
/// statistics. Where that is gone or not known they are the model's owner's alone.
///
/// # Errors
/// 003001.
pub(crate) async fn authorize_statistics(
    context: &StatementContext,
    work: &mut Work,
    found: &FoundModel,
    body: &ModelVersionBody,
) -> Result<(), UserError> {
    let owner = context.model.owner(&found.object()).unwrap_or(system::ACCOUNTADMIN);
    let owns = context.model.includes(&context.roles, owner);
    let allowed = match seen(context, work, body).await? {
        Sight::All => true,
        Sight::Unknown => owns,
        Sight::Hidden => false,
    };
    if allowed {
        return Ok(());
    }
    Err(UserError::new(
        Code::InsufficientPrivileges,
        format!(
            "SQL access control error:\nInsufficient privileges to compare with the training data of \
             model '{}': the role cannot read all the rows and values that it was trained on.",
            found.model.name
        ),
    ))
}

/// What a role sees now of the training's sources.
enum Sight {
    All,
    /// Some are gone, or nobody can tell.
    Unknown,
    /// Policies may keep rows or values back.
    Hidden,
}

async fn seen(
    context: &StatementContext,
    work: &mut Work,
    body: &ModelVersionBody,
) -> Result<Sight, UserError> {
    let (Some(text), Some(sources)) = (&body.query_text, &body.sources) else {
        return Ok(Sight::Unknown);
    };
    let database = body.query_database.clone().unwrap_or_default();
    let schema = body.query_schema.clone().unwrap_or_default();
    let mut inner = apart_from_session(context, &database, &schema);
    // What is asked here is no use of the sources, and only the policies of now count.
    inner.used = Default::default();
    inner.protections = Default::default();
    let Ok(query) = frazil_dialect::parse_query(text) else { return Ok(Sight::Unknown) };
    let planned = plan(&inner, work, &query, text).await;
    context.check_cancelled()?;
    let Ok(planned) = planned else { return Ok(Sight::Unknown) };
    {
        let protections = inner.protections.lock();
        let lifts = |(kind, id)| may_lift(context, (kind, id));
        let mut policies = protections.policies().iter().map(|used| &used.policy);
        if protections.refuses() || policies.any(|policy| !lifts((policy.kind, policy.id))) {
            return Ok(Sight::Hidden);
        }
    }
    // Other objects may have the names by now; and what a view shows may depend on who asks.
    let now = sources_of(&planned).unwrap_or_default();
    let same = sources.iter().all(|source| now.contains(source));
    if !same || sources.iter().any(|source| source.kind == ObjectKind::View) {
        return Ok(Sight::Unknown);
    }
    let view = work.lake()?.view().clone();
    let containers = |object: &ObjectRef| parents_by_object(&view, object);
    Ok(match authorize_accesses(&planned.accesses, &containers, &context.model, &context.roles) {
        Ok(()) => Sight::All,
        Err(_) => Sight::Hidden,
    })
}
