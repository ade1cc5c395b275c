//! Finding every leaf of a plan that reads something, and whether an access covers it.

use std::collections::HashSet;

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use frazil_common::{Access, Privilege, UserError};

use crate::names::{parts, reference_parts};
use crate::protect::Protections;

/// Schema part of the names of scans that need no grant: generated rows, the user's own stored
/// results, the information schema (which filters its rows itself). Only two-part names count;
/// tables of the account always have three.
pub const INTERNAL_SCHEMA: &str = "frazil_internal";

/// Checks that every scan of the plan, in subqueries too, reads an object among the accesses, and
/// reads it under the policies on it.
pub(crate) fn check_scans(
    plan: &LogicalPlan,
    accesses: &[Access],
    protections: &Protections,
) -> Result<(), UserError> {
    let covered: HashSet<Vec<String>> = accesses
        .iter()
        .filter(|access| reads(access.privilege))
        .map(|access| parts(&access.object.name))
        .collect();
    check(plan, &covered, protections)
}

fn check(
    plan: &LogicalPlan,
    covered: &HashSet<Vec<String>>,
    protections: &Protections,
) -> Result<(), UserError> {
    let protected = protections.made(plan);
    let mut open = vec![plan];
    while let Some(node) = open.pop() {
        check_node(node, covered)?;
        if let LogicalPlan::TableScan(scan) = node
            && !protected
            && !is_internal(&scan.table_name)
        {
            protections.check_open(&scan.table_name)?;
        }
        check_subqueries(node, covered, protections)?;
        if protected {
            // What the policies were put on; nothing else is below them.
            open.extend(node.inputs());
        } else {
            for input in node.inputs() {
                check(input, covered, protections)?;
            }
        }
    }
    Ok(())
}

fn check_subqueries(
    node: &LogicalPlan,
    covered: &HashSet<Vec<String>>,
    protections: &Protections,
) -> Result<(), UserError> {
    let mut refusal = None;
    node.apply_subqueries(|subquery| {
        refusal = check(subquery, covered, protections).err();
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(|error: DataFusionError| UserError::internal(error))?;
    match refusal {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn check_node(node: &LogicalPlan, covered: &HashSet<Vec<String>>) -> Result<(), UserError> {
    match node {
        LogicalPlan::TableScan(scan) => {
            if is_internal(&scan.table_name) {
                return Ok(());
            }
            if !covered.contains(&reference_parts(&scan.table_name)) {
                return Err(ungoverned(&scan.table_name));
            }
            // A source that stands for another plan would smuggle that plan's scans in.
            match scan.source.get_logical_plan() {
                Some(_) => Err(ungoverned(format!("inlined plan of {}", scan.table_name))),
                None => Ok(()),
            }
        }
        LogicalPlan::Extension(extension) => {
            let name = extension.node.name();
            if extension.node.inputs().is_empty() && !name.starts_with(INTERNAL_SCHEMA) {
                return Err(ungoverned(format!("node {name}")));
            }
            Ok(())
        }
        // Writes and definitions never run as plans here: they have their own sink.
        LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::DescribeTable(_) => {
            Err(UserError::internal(format!("ungoverned node {}", node.display())))
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => Ok(()),
    }
}

fn ungoverned(what: impl std::fmt::Display) -> UserError {
    UserError::internal(format!("ungoverned scan: {what}"))
}

fn is_internal(name: &TableReference) -> bool {
    match name {
        TableReference::Bare { table } => {
            table.strip_prefix(INTERNAL_SCHEMA).is_some_and(|rest| rest.starts_with('.'))
        }
        TableReference::Partial { schema, .. } => &**schema == INTERNAL_SCHEMA,
        TableReference::Full { .. } => false,
    }
}

/// Whether a check of this privilege allows the statement to read the object's rows.
fn reads(privilege: Privilege) -> bool {
    use Privilege::*;
    match privilege {
        Select | Update | Delete | Usage | Read | Ownership => true,
        Insert
        | Truncate
        | References
        | Write
        | Monitor
        | Modify
        | Operate
        | CreateDatabase
        | CreateWarehouse
        | CreateRole
        | CreateUser
        | CreateDatabaseRole
        | CreateEndpoint
        | CreateSchema
        | CreateTable
        | CreateView
        | CreateStage
        | CreateFileFormat
        | CreateSequence
        | CreateModel
        | CreateMaskingPolicy
        | CreateRowAccessPolicy
        | CreateTag
        | Apply
        | ApplyMaskingPolicy
        | ApplyRowAccessPolicy
        | ApplyTag
        | ManageGrants
        | ImportedPrivileges => false,
    }
}
