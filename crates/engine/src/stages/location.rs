//! `@db.schema.stage/path`, `@~/path` and `@%table/path`: which stage, which path below it.

use std::collections::BTreeMap;

use frazil_catalog::account::{NewObject, Object, Place, Stage};
use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, QualifiedName, UserError};
use frazil_dialect::parse_object_name_text;
use frazil_governance::{HiddenError, Requirement};

use crate::api::{StageBytes, StageFile};
use crate::resolve::objects::parents_of;
use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;

/// A stage and a path below it.
#[derive(Debug, Clone)]
pub(crate) struct StageLocation {
    pub stage_id: i64,
    /// The stage's name as `LIST` shows it, in lower case.
    pub label: String,
    /// Below the stage, without a leading slash; may be empty.
    pub path: String,
    /// The stage's own format options.
    pub file_format: BTreeMap<String, serde_json::Value>,
}

/// Splits the name from the path: the first `/` outside double quotes.
fn split(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (index, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '/' if !quoted => return (&text[..index], text[index + 1..].trim_start_matches('/')),
            _ => {}
        }
    }
    (text, "")
}

/// Finds a stage and checks the privilege (READ or WRITE) on it.
///
/// # Errors
/// 002003 for a stage that is absent or hidden; stages in a cloud are named as unsupported.
pub(crate) async fn resolve_stage(
    context: &StatementContext,
    location: &str,
    privilege: Privilege,
) -> Result<StageLocation, UserError> {
    let text = location.trim().trim_matches('\'');
    let Some(rest) = text.strip_prefix('@') else {
        if text.contains("://") {
            return Err(UserError::unsupported(format!("stage location '{text}'")));
        }
        return Err(UserError::new(
            Code::InvalidArgument,
            format!("'{text}' is not a stage: a stage's name starts with '@'."),
        ));
    };
    let (name, path) = split(rest);
    if name == "~" {
        return user_stage(context, path).await;
    }
    if name.contains('%') {
        return Err(UserError::unsupported(format!("table stage '@{name}'")));
    }
    let name = context.qualify(&parse_object_name_text(name)?)?;
    let stage = find(context, &name).await?.ok_or_else(|| UserError::not_found("Stage", &name))?;
    if stage.place.session_id == 0 {
        let object = ObjectRef { kind: ObjectKind::Stage, id: stage.id, name: name.to_string() };
        let view = context.shared.catalog.head_view().await?;
        context.authorize(&[Requirement::new(object, parents_of(&view, &name), privilege)
            .hidden_as(HiddenError::DoesNotExist)])?;
    }
    Ok(StageLocation {
        stage_id: stage.id,
        label: stage.name.to_lowercase(),
        path: path.to_string(),
        file_format: stage.body.file_format,
    })
}

/// A stage by its full name; the session's own temporary ones first.
pub(crate) async fn find(
    context: &StatementContext,
    name: &QualifiedName,
) -> Result<Option<Object<Stage>>, UserError> {
    let view = context.shared.catalog.head_view().await?;
    let Some(schema) = view.schema(&name.database, &name.schema) else { return Ok(None) };
    Ok(context
        .shared
        .accounts
        .object::<Stage>(schema.schema_id, &name.name, context.session.id)
        .await?)
}

/// The user's own stage `@~`, made when first used.
async fn user_stage(context: &StatementContext, path: &str) -> Result<StageLocation, UserError> {
    // Kept outside any schema, under a name no statement can form.
    let name = format!("~{}", context.session.user);
    let accounts = &context.shared.accounts;
    let stage = match accounts.object::<Stage>(0, &name, 0).await? {
        Some(stage) => stage,
        None => {
            let mut transaction = AccountChange::on(accounts).await?;
            let stage = transaction
                .writer()
                .create_object(NewObject {
                    name: name.clone(),
                    place: Place::default(),
                    owner_role: context.role().to_string(),
                    comment: None,
                    body: Stage::default(),
                })
                .await?;
            transaction.commit().await?;
            stage
        }
    };
    Ok(StageLocation {
        stage_id: stage.id,
        label: "~".to_string(),
        path: path.to_string(),
        file_format: BTreeMap::new(),
    })
}

/// The files a location, a list of names and a pattern select, in path order.
///
/// # Errors
/// A name in `files` that is not there; a pattern that is no regular expression.
pub(crate) async fn select_files(
    context: &StatementContext,
    location: &StageLocation,
    files: Option<&[String]>,
    pattern: Option<&str>,
) -> Result<Vec<StageFile>, UserError> {
    let pattern = pattern
        .map(|text| {
            // The pattern must match the whole path.
            regex::Regex::new(&format!("^(?:{text})$")).map_err(|error| {
                UserError::new(Code::InvalidArgument, format!("Invalid pattern '{text}': {error}"))
            })
        })
        .transpose()?;
    let all = context.shared.stages.list(location.stage_id, &location.path).await?;
    let mut selected: Vec<StageFile> = match files {
        None => all,
        Some(names) => {
            let mut found = Vec::new();
            for name in names {
                let wanted = join(&location.path, name);
                let file = all.iter().find(|file| file.path == wanted).ok_or_else(|| {
                    UserError::new(
                        Code::StageFileNotFound,
                        format!(
                            "Remote file '{wanted}' was not found in stage '@{}'.",
                            location.label
                        ),
                    )
                })?;
                found.push(file.clone());
            }
            found
        }
    };
    if let Some(pattern) = pattern {
        selected.retain(|file| pattern.is_match(&file.path));
    }
    Ok(selected)
}

/// A path below another.
pub(crate) fn join(base: &str, name: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.is_empty() { name.to_string() } else { format!("{base}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_after_the_name() {
        assert_eq!(split("db.s.st/a/b.csv"), ("db.s.st", "a/b.csv"));
        assert_eq!(split("\"a/b\"/c"), ("\"a/b\"", "c"));
        assert_eq!(split("st"), ("st", ""));
    }
}
