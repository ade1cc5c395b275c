//! Plans pass only when every scan is covered by an access the roles are entitled to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::builder::LogicalTableSource;
use datafusion::logical_expr::{
    LogicalPlan, LogicalPlanBuilder, col, exists, lit, scalar_subquery,
};
use frazil_common::{Access, Code, ObjectKind, ObjectRef, Privilege, UserError};
use frazil_governance::{
    AccessFacts, AccessModel, GrantFact, Policies, Protections, REDACTED, Sealed, SecondaryRoles,
    check_refusals, govern,
};

fn scan(name: impl Into<TableReference>) -> LogicalPlanBuilder {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    let source = Arc::new(LogicalTableSource::new(Arc::new(schema)));
    LogicalPlanBuilder::scan(name.into(), source, None).unwrap()
}

fn full(name: &str) -> TableReference {
    TableReference::full("D", "S", name)
}

fn table(id: i64, name: &str) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Table, id, name: format!("D.S.{name}") }
}

fn access(object: ObjectRef, privilege: Privilege, on_behalf_of: Option<&str>) -> Access {
    Access { object, privilege, columns: Vec::new(), on_behalf_of: on_behalf_of.map(String::from) }
}

/// READER may select from T (1) and V (3); WRITER owns U (2).
fn model() -> AccessModel {
    let grant = |object_kind, object_id, privilege, role: &str| GrantFact {
        object_kind,
        object_id,
        privilege,
        role: role.to_string(),
        grant_option: false,
    };
    AccessModel::new(&AccessFacts {
        roles: vec!["READER".to_string(), "WRITER".to_string()],
        grants: vec![
            grant(ObjectKind::Table, 1, Privilege::Select, "READER"),
            grant(ObjectKind::View, 3, Privilege::Select, "READER"),
        ],
        owners: vec![((ObjectKind::Table, 2), "WRITER".to_string())],
        ..AccessFacts::default()
    })
}

fn ask(plan: LogicalPlan, accesses: &[Access]) -> Result<(), (Code, String)> {
    let model = model();
    let roles = model.effective_roles("ANN", "READER", &SecondaryRoles::None);
    let no_parents = |_: &ObjectRef| Vec::new();
    let mut protections = Protections::default();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            protections.open(&scan.table_name);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    match govern(plan.clone(), accesses, &no_parents, &model, &roles, &protections) {
        Ok(governed) => {
            assert_eq!(governed.get(), &plan);
            assert_eq!(governed.into_inner(), plan);
            Ok(())
        }
        Err(error) => Err((error.code, error.message)),
    }
}

#[test]
fn a_covered_scan_passes() {
    let plan = scan(full("T")).build().unwrap();
    assert_eq!(ask(plan, &[access(table(1, "T"), Privilege::Select, None)]), Ok(()));
}

#[test]
fn an_access_without_the_privilege_is_refused() {
    let plan = scan(full("U")).build().unwrap();
    let (code, message) = ask(plan, &[access(table(2, "U"), Privilege::Select, None)]).unwrap_err();
    assert_eq!(code, Code::ObjectNotFound);
    assert_eq!(message, "Object 'D.S.U' does not exist or not authorized.");
    let plan = scan(full("T")).build().unwrap();
    let (code, _) = ask(plan, &[access(table(1, "T"), Privilege::Insert, None)]).unwrap_err();
    assert_eq!(code, Code::InsufficientPrivileges);
}

#[test]
fn a_view_reads_for_its_owner() {
    let plan = scan(full("U")).build().unwrap();
    let view = ObjectRef { kind: ObjectKind::View, id: 3, name: "D.S.V".to_string() };
    let accesses = [
        access(view, Privilege::Select, None),
        access(table(2, "U"), Privilege::Select, Some("WRITER")),
    ];
    assert_eq!(ask(plan, &accesses), Ok(()));
}

#[test]
fn scans_nobody_asked_for_are_refused_wherever_they_hide() {
    let covered = access(table(1, "T"), Privilege::Select, None);
    let hidden = || Arc::new(scan(full("U")).build().unwrap());
    let joined = scan(full("T")).cross_join(scan(full("U")).build().unwrap()).unwrap();
    let in_exists = scan(full("T")).filter(exists(hidden())).unwrap();
    let in_projection =
        scan(full("T")).project(vec![col("a"), scalar_subquery(hidden()).eq(lit(1i64))]).unwrap();
    let aliased =
        scan(full("T")).union(scan(full("U")).alias("T").unwrap().build().unwrap()).unwrap();
    for plan in [joined, in_exists, in_projection, aliased] {
        let plan = plan.build().unwrap();
        let (code, message) = ask(plan, std::slice::from_ref(&covered)).unwrap_err();
        assert_eq!(code, Code::Internal);
        assert!(message.contains("ungoverned scan: D.S.U"), "{message}");
    }
}

#[test]
fn a_right_to_write_does_not_cover_reading() {
    let plan = scan(full("U")).build().unwrap();
    let accesses = [access(table(2, "U"), Privilege::Insert, Some("WRITER"))];
    assert_eq!(ask(plan.clone(), &accesses).unwrap_err().0, Code::Internal);
    let accesses = [access(table(2, "U"), Privilege::Delete, Some("WRITER"))];
    assert_eq!(ask(plan, &accesses), Ok(()));
}

#[test]
fn internal_scans_need_two_part_names_of_the_reserved_schema() {
    for (name, passes) in [
        (TableReference::bare("frazil_internal.results"), true),
        (TableReference::partial("frazil_internal", "generator"), true),
        (TableReference::bare("frazil_internals"), false),
        // A database of this name is a database like any other.
        (TableReference::full("frazil_internal", "S", "T"), false),
        (TableReference::full("D", "frazil_internal", "T"), false),
    ] {
        let plan = scan(name.clone()).build().unwrap();
        assert_eq!(ask(plan, &[]).is_ok(), passes, "{name}");
    }
}

#[test]
fn quoted_names_match_exactly() {
    let odd =
        ObjectRef { kind: ObjectKind::Table, id: 1, name: "D.\"s.1\".\"T \"\"x\"".to_string() };
    let accesses = [access(odd, Privilege::Select, None)];
    let plan =
        |schema: &str, name: &str| scan(TableReference::full("D", schema, name)).build().unwrap();
    assert_eq!(ask(plan("s.1", "T \"x"), &accesses), Ok(()));
    assert!(ask(plan("S.1", "T \"x"), &accesses).is_err());
    assert!(ask(plan("s", "1"), &accesses).is_err());
}

#[test]
fn plans_that_write_are_refused() {
    let input = scan(full("T")).build().unwrap();
    let source = Arc::new(LogicalTableSource::new(Arc::new(Schema::empty())));
    let plan = LogicalPlan::Dml(datafusion::logical_expr::DmlStatement::new(
        full("T"),
        source,
        datafusion::logical_expr::WriteOp::Delete,
        Arc::new(input),
    ));
    let error = ask(plan, &[access(table(1, "T"), Privilege::Select, None)]).unwrap_err();
    assert_eq!(error.0, Code::Internal);
}

/// T with its rows below 10 alone, and A hidden.
fn protected() -> LogicalPlan {
    let plan = scan(full("T")).build().unwrap();
    let argument = ("argument".to_string(), col("a"));
    let extended = Policies::with_arguments(plan.clone(), vec![argument]).unwrap();
    let policies = Policies {
        rows: vec![col("argument").lt(lit(10i64))],
        columns: [(0, lit(0i64))].into(),
        ..Policies::default()
    };
    policies.apply(&plan, extended).unwrap()
}

#[test]
fn a_column_that_cannot_be_read_is_told_of_but_below_a_secure_view() {
    let plan = scan(full("T")).build().unwrap();
    let extended = Policies::with_arguments(plan.clone(), Vec::new()).unwrap();
    let why = UserError::new(Code::InvalidStatement, "A has two masks");
    let policies = Policies { refused: [(0, why)].into(), ..Policies::default() };
    let masked = policies.apply(&plan, extended).unwrap();
    let told = |plan: &LogicalPlan| check_refusals(plan).map_err(|error| error.to_string());
    assert_eq!(told(&plan), Ok(()));
    assert!(told(&masked).unwrap_err().contains("A has two masks"));
    let within = scan(full("V")).filter(exists(Arc::new(masked.clone()))).unwrap().build().unwrap();
    assert!(told(&within).unwrap_err().contains("A has two masks"));
    let secure = told(&Sealed::whole(masked, true).unwrap()).unwrap_err();
    assert!(secure.contains(REDACTED) && !secure.contains("masks"), "{secure}");
}

#[test]
fn a_table_with_policies_is_read_through_them_alone() {
    let model = model();
    let roles = model.effective_roles("ANN", "READER", &SecondaryRoles::None);
    let no_parents = |_: &ObjectRef| Vec::new();
    let accesses = [access(table(1, "T"), Privilege::Select, None)];
    let ask = |plan: LogicalPlan, protections: &Protections| {
        govern(plan, &accesses, &no_parents, &model, &roles, protections)
            .map(|_| ())
            .map_err(|error| error.message)
    };
    let mut protections = Protections::default();
    let raw = scan(full("T")).build().unwrap();
    assert!(ask(raw.clone(), &protections).unwrap_err().contains("not looked up"));
    protections.protect(&full("T"), protected());
    assert!(ask(raw.clone(), &protections).unwrap_err().contains("without its policies"));
    assert_eq!(ask(protected(), &protections), Ok(()));
    let above = LogicalPlanBuilder::from(protected()).alias("x").unwrap();
    assert_eq!(ask(above.clone().build().unwrap(), &protections), Ok(()));
    // Beside the protected one, or in a subquery above it, a bare scan is still refused.
    let beside = above.clone().cross_join(raw.clone()).unwrap().build().unwrap();
    assert!(ask(beside, &protections).is_err());
    let within = above.filter(exists(Arc::new(raw.clone()))).unwrap().build().unwrap();
    assert!(ask(within, &protections).is_err());
    // Opening it later does not take the policies off.
    protections.open(&full("T"));
    assert!(ask(raw, &protections).is_err());
}
