//! Tags on objects: which one an object has, by itself or from what contains it, and the masking
//! policies that tags bring.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::ControlFlow;

use frazil_catalog::account::{
    AccountView, GrantTarget, MaskingPolicy, PolicyReference, Tag, TagReference,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, QualifiedName, SqlType, UserError, quote_identifier,
};
use frazil_dialect::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value, Visit, VisitMut,
    Visitor, VisitorMut,
};
use frazil_planner::Relation;

use crate::resolve::policies::alike;
use crate::statements::context::StatementContext;

/// Where a tag may come from: an object, or one column of it.
pub(crate) type Level = (GrantTarget, i64);

/// The levels an object, or a column of it, has tags from: itself first, then what contains it, the
/// account last. `parents` are the database and the schema.
pub(crate) fn levels(object: &ObjectRef, parents: &[ObjectRef], column: Option<i64>) -> Vec<Level> {
    let own = (object.kind, object.id);
    let account = (ObjectKind::Account, 0);
    let mut all: Vec<Level> = column.map(|column| (own, column)).into_iter().collect();
    all.push((own, 0));
    all.extend(parents.iter().rev().map(|parent| ((parent.kind, parent.id), 0)));
    if own != account {
        all.push((account, 0));
    }
    all
}

/// The tags that count at the first of the levels: of each tag the closest.
pub(crate) fn effective<'a>(account: &'a AccountView, levels: &[Level]) -> Vec<&'a TagReference> {
    let mut found: Vec<&TagReference> = Vec::new();
    for ((kind, id), column) in levels {
        for reference in account.tags_on(*kind, *id) {
            let known = found.iter().any(|closer| closer.tag == reference.tag);
            if reference.column == *column && !known {
                found.push(reference);
            }
        }
    }
    found
}

/// A tag by its full name.
pub(crate) async fn tag_named(
    context: &StatementContext,
    name: &QualifiedName,
) -> Result<Option<i64>, UserError> {
    let view = context.shared.catalog.head_view().await?;
    let Some(schema) = view.schema(&name.database, &name.schema) else { return Ok(None) };
    let found = context.shared.accounts.object::<Tag>(schema.schema_id, &name.name, 0).await?;
    Ok(found.map(|tag| tag.id))
}

/// The arguments of the policies looked up so far, by the policies' ids.
#[derive(Default)]
pub(crate) struct MaskRules(HashMap<i64, Vec<(String, SqlType)>>);

/// A column of a table or view, and where that is.
pub(crate) struct ColumnAt<'a> {
    pub object: &'a ObjectRef,
    pub parents: &'a [ObjectRef],
    pub id: i64,
}

/// The masking policies that a column's tags, its own and inherited, bring for its type. With more
/// than one the column cannot be read.
pub(crate) async fn masks_of_column(
    context: &StatementContext,
    account: &AccountView,
    rules: &mut MaskRules,
    column: &ColumnAt<'_>,
    sql_type: &SqlType,
) -> Result<Vec<GrantTarget>, UserError> {
    let mut found: Vec<GrantTarget> = Vec::new();
    for tag in effective(account, &levels(column.object, column.parents, Some(column.id))) {
        for on in account.policies_on(ObjectKind::Tag, tag.tag) {
            if let Entry::Vacant(place) = rules.0.entry(on.policy.1) {
                let policy = context
                    .shared
                    .accounts
                    .object_by_id::<MaskingPolicy>(on.policy.1)
                    .await?
                    .ok_or_else(|| UserError::internal("a tag's policy is gone"))?;
                place.insert(policy.body.rule.arguments);
            }
            let arguments = &rules.0[&on.policy.1];
            let fits = arguments.first().is_some_and(|(_, first)| alike(first, sql_type));
            if fits && !found.contains(&on.policy) {
                found.push(on.policy);
            }
        }
    }
    Ok(found)
}

/// What tags do to the columns of a relation.
#[derive(Default)]
pub(crate) struct TagMasks {
    pub policies: Vec<PolicyReference>,
    /// Columns that cannot be read: their ids, and why.
    pub refused: Vec<(i64, UserError)>,
}

/// The masking policies that tags put on columns of a relation which have none of their own. `own`
/// are the policies on the relation itself, `ids` its columns. A column that two policies would
/// mask cannot be read, nor one whose policy has an argument that no column has the name of.
pub(crate) async fn masks_of_tags(
    context: &StatementContext,
    account: &AccountView,
    relation: &Relation,
    object: &ObjectRef,
    parents: &[ObjectRef],
    own: &[PolicyReference],
    ids: &[i64],
) -> Result<TagMasks, UserError> {
    let mut masks = TagMasks::default();
    if !account.has_tag_policies() {
        return Ok(masks);
    }
    let mut rules = MaskRules::default();
    for (id, column) in ids.iter().zip(&relation.columns) {
        let masked =
            |on: &PolicyReference| on.policy.0 == ObjectKind::MaskingPolicy && on.column == *id;
        if own.iter().any(masked) {
            continue;
        }
        let at = ColumnAt { object, parents, id: *id };
        let found = masks_of_column(context, account, &mut rules, &at, &column.sql_type).await?;
        let policy = match found.as_slice() {
            [] => continue,
            [policy] => *policy,
            _ => {
                masks.refused.push((*id, several_masks(object, &column.name)));
                continue;
            }
        };
        let mut arguments = vec![*id];
        let mut missing = None;
        for (name, sql_type) in rules.0[&policy.1].iter().skip(1) {
            let place = relation
                .columns
                .iter()
                .position(|column| column.name == *name && alike(&column.sql_type, sql_type));
            match place.and_then(|place| ids.get(place)) {
                Some(other) => arguments.push(*other),
                None => missing = Some((name, sql_type)),
            }
        }
        if let Some((name, sql_type)) = missing {
            let error = UserError::new(
                Code::InvalidStatement,
                format!(
                    "A tag's masking policy takes a column {name} of type {sql_type}, which {} \
                     does not have.",
                    object.name
                ),
            );
            masks.refused.push((*id, error));
            continue;
        }
        let on = (object.kind, object.id);
        masks.policies.push(PolicyReference { policy, on, column: *id, arguments });
    }
    Ok(masks)
}

fn several_masks(object: &ObjectRef, column: &str) -> UserError {
    UserError::new(
        Code::InvalidStatement,
        format!(
            "Column {}.{} is mapped to multiple masking policies by tags. Please contact your local \
             administrator to fix the issue.",
            object.name,
            quote_identifier(column)
        ),
    )
}

/// What a policy's body stands on, for the functions that ask for its tags.
pub(crate) struct Governed<'a> {
    pub account: &'a AccountView,
    pub object: &'a ObjectRef,
    pub parents: &'a [ObjectRef],
    pub name: Option<&'a QualifiedName>,
    /// None: the policy is one on rows.
    pub column: Option<i64>,
}

const ON_COLUMN: &str = "SYSTEM$GET_TAG_ON_CURRENT_COLUMN";
const ON_TABLE: &str = "SYSTEM$GET_TAG_ON_CURRENT_TABLE";

/// The function, and the tag it asks for.
fn asked(function: &Function) -> Option<(&'static str, Option<String>)> {
    let [part] = function.name.0.as_slice() else { return None };
    let name = &part.as_ident()?.value;
    let known = [ON_COLUMN, ON_TABLE].into_iter().find(|k| k.eq_ignore_ascii_case(name))?;
    let tag = match &function.args {
        FunctionArguments::List(list) => match list.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))] => {
                match &value.value {
                    Value::SingleQuotedString(text) => Some(text.clone()),
                    _ => None,
                }
            }
            _ => None,
        },
        _ => None,
    };
    Some((known, tag))
}

#[derive(Default)]
struct Questions(Vec<(&'static str, Option<String>)>);

impl Visitor for Questions {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression {
            self.0.extend(asked(function));
        }
        ControlFlow::Continue(())
    }
}

struct Answers(std::vec::IntoIter<Expr>);

impl VisitorMut for Answers {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expression
            && asked(function).is_some()
            && let Some(answer) = self.0.next()
        {
            *expression = answer;
        }
        ControlFlow::Continue(())
    }
}

/// The body of a policy with the values of the tags it asks for in the places of the calls. Without
/// something it stands on, as when it is written, they are NULL.
///
/// # Errors
/// A tag that is not there, or not given as a text.
pub(crate) async fn with_tags(
    context: &StatementContext,
    mut body: Expr,
    on: Option<&Governed<'_>>,
) -> Result<Expr, UserError> {
    let mut questions = Questions::default();
    // The visitor never breaks off.
    let _ = Visit::visit(&body, &mut questions);
    if questions.0.is_empty() {
        return Ok(body);
    }
    let mut answers = Vec::with_capacity(questions.0.len());
    for (function, tag) in questions.0 {
        let text = tag.ok_or_else(|| {
            UserError::new(
                Code::InvalidArgument,
                format!("Function {function} takes the name of a tag as a text."),
            )
        })?;
        let name: ObjectName = frazil_dialect::parse_object_name_text(&text)?;
        let full = context.qualify(&name)?;
        let tag =
            tag_named(context, &full).await?.ok_or_else(|| UserError::not_found("Tag", &full))?;
        let value = on.and_then(|on| {
            let column = if function == ON_COLUMN { on.column } else { None };
            let levels = levels(on.object, on.parents, column);
            let found = effective(on.account, &levels);
            found.into_iter().find(|found| found.tag == tag).map(|found| found.value.clone())
        });
        answers.push(match value {
            Some(value) => Expr::value(Value::SingleQuotedString(value)),
            None => frazil_dialect::parse_expression("CAST(NULL AS VARCHAR)")?,
        });
    }
    let _ = VisitMut::visit(&mut body, &mut Answers(answers.into_iter()));
    Ok(body)
}
