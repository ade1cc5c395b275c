//! Policies in the plan: what a role sees of a table is a plan over the table's scan.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection};
use frazil_common::{ObjectRef, UserError};

use crate::names::reference_parts;
use crate::refusal::refused;
use crate::sealed::Sealed;

/// Policies on one table or view, bound over [`Policies::with_arguments`].
#[derive(Debug, Clone, Default)]
pub struct Policies {
    /// Row access policies: a row is seen where all are true.
    pub rows: Vec<Expr>,
    /// By index of the plan's field: what is seen in the place of the column.
    pub columns: HashMap<usize, Expr>,
    /// By index of the plan's field: why the column cannot be read.
    pub refused: HashMap<usize, UserError>,
    /// Further fields, after the others: the values as they are, for UPDATE and MERGE to write
    /// back.
    pub kept: Vec<(usize, String)>,
}

impl Policies {
    /// The plan with the policies' arguments, each under a name of its own, before its fields.
    ///
    /// # Errors
    /// An internal one.
    pub fn with_arguments(
        plan: LogicalPlan,
        arguments: Vec<(String, Expr)>,
    ) -> Result<LogicalPlan, UserError> {
        let fields = plan.schema().columns();
        let exprs = arguments
            .into_iter()
            .map(|(name, expr)| expr.alias(name))
            .chain(fields.into_iter().map(Expr::Column))
            .collect();
        let plan = Projection::try_new(exprs, Arc::new(plan)).map_err(internal)?;
        Ok(LogicalPlan::Projection(plan))
    }

    /// What is seen of `plan`: its rows that every row policy lets through, with the masks in the
    /// place of the columns. `extended` is the plan with the arguments.
    ///
    /// # Errors
    /// An internal one, such as a policy that is no condition.
    pub fn apply(
        self,
        plan: &LogicalPlan,
        extended: LogicalPlan,
    ) -> Result<LogicalPlan, UserError> {
        let Policies { rows, mut columns, refused: refusals, kept } = self;
        let mut below = extended;
        let filtered = !rows.is_empty();
        for condition in rows {
            let filter = Filter::try_new(condition, Arc::new(below)).map_err(internal)?;
            below = LogicalPlan::Filter(filter);
        }
        let fields = plan.schema().columns();
        for (index, error) in refusals {
            columns.insert(index, refused(error, plan.schema().field(index).data_type().clone()));
        }
        let masked: Vec<String> = columns
            .keys()
            .filter_map(|index| fields.get(*index))
            .map(|field| field.name.clone())
            .collect();
        let mut exprs = Vec::with_capacity(fields.len() + kept.len());
        for (index, field) in fields.iter().enumerate() {
            exprs.push(match columns.remove(&index) {
                Some(mask) => mask.alias_qualified(field.relation.clone(), field.name.clone()),
                None => Expr::Column(field.clone()),
            });
        }
        for (index, name) in kept {
            let field = fields.get(index).ok_or_else(|| UserError::internal("no such field"))?;
            exprs.push(Expr::Column(field.clone()).alias(name));
        }
        let plan = Projection::try_new(exprs, Arc::new(below)).map_err(internal)?;
        let plan = LogicalPlan::Projection(plan);
        // Conditions of the query may choose among rows that are all seen, by columns that are.
        let sealed =
            if filtered { Sealed::whole(plan, true) } else { Sealed::columns(plan, masked) };
        sealed.map_err(internal)
    }
}

fn internal(error: DataFusionError) -> UserError {
    UserError::internal(error)
}

/// For every table a statement reads: that no policy is on it, or what the policies make of its
/// scan. A scan of a table that is not in here is refused, so that none is read whose policies
/// were never asked for.
#[derive(Debug, Clone, Default)]
pub struct Protections {
    scans: HashMap<Vec<String>, Vec<LogicalPlan>>,
    policies: Vec<PolicyUse>,
    refuses: bool,
}

/// A policy that is part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyUse {
    pub policy: ObjectRef,
    /// The table or view it is on.
    pub on: ObjectRef,
    /// The column that it masks; none: a policy on rows.
    pub column: Option<String>,
}

impl Protections {
    /// No policy is on the table of that scan.
    pub fn open(&mut self, scan: &TableReference) {
        self.scans.entry(reference_parts(scan)).or_default();
    }

    /// The table of that scan is read through this plan alone.
    pub fn protect(&mut self, scan: &TableReference, plan: LogicalPlan) {
        self.scans.entry(reference_parts(scan)).or_default().push(plan);
    }

    /// Notes that a policy is part of the plan.
    pub fn note(&mut self, policy: PolicyUse) {
        if !self.policies.contains(&policy) {
            self.policies.push(policy);
        }
    }

    /// Notes that the plan has a column which nobody can read, for what its tags bring.
    pub fn refuse(&mut self) {
        self.refuses = true;
    }

    /// Whether a column of what is read cannot be read by anybody.
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// The policies that are part of the plan.
    pub fn policies(&self) -> &[PolicyUse] {
        &self.policies
    }

    /// Whether policies made this very plan.
    pub(crate) fn made(&self, plan: &LogicalPlan) -> bool {
        Sealed::of(plan).is_some() && self.scans.values().flatten().any(|made| made == plan)
    }

    pub(crate) fn check_open(&self, scan: &TableReference) -> Result<(), UserError> {
        match self.scans.get(&reference_parts(scan)) {
            Some(plans) if plans.is_empty() => Ok(()),
            Some(_) => Err(UserError::internal(format!("scan of {scan} without its policies"))),
            None => Err(UserError::internal(format!("policies of {scan} were not looked up"))),
        }
    }
}
