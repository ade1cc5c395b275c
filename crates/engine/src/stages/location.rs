//! `@db.schema.stage/path`, `@~/path` and `@%table/path`: which stage, which path below it.

use std::collections::BTreeMap;

use frazil_catalog::account::{Object, Stage, user_stage_name};
use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, QualifiedName, UserError};
use frazil_dialect::parse_object_name_text;
use frazil_governance::{HiddenError, Requirement};

use crate::api::{StageBytes, StageFile};
use crate::resolve::objects::{parents_of, table_object};
use crate::statements::account_change::AccountChange;
use crate::statements::context::StatementContext;

/// Whose a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageKind {
    User,
    Table,
    Named,
}

impl StageKind {
    /// The kind in the words of the access history.
    pub fn as_str(self) -> &'static str {
        match self {
            StageKind::User => "User",
            StageKind::Table => "Table",
            StageKind::Named => "Internal Named",
        }
    }
}

/// A stage and a path below it.
#[derive(Debug, Clone)]
pub(crate) struct StageLocation {
    pub stage_id: i64,
    pub kind: StageKind,
    /// What the access history calls it: its own name, or that of its user or table.
    pub history_name: String,
    /// The stage's name as `LIST` shows it, in lower case; empty for user and table stages.
    pub label: String,
    /// The stage's full name, `~`, or `%` and the table's name.
    pub full_name: String,
    /// Below the stage, without a leading slash; may be empty.
    pub path: String,
    /// The stage's own format options.
    pub file_format: BTreeMap<String, serde_json::Value>,
    /// The stage's own copy options.
    pub copy_options: BTreeMap<String, serde_json::Value>,
    /// Whether it has a directory table.
    pub directory: bool,
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

impl StageLocation {
    /// The stage as messages and histories show it, with a slash at its end.
    pub fn shown(&self) -> String {
        format!("@{}/", self.full_name)
    }
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
    if let Some((parents, table)) = table_of(name) {
        return table_stage(context, &format!("{parents}{table}"), path).await;
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
        kind: StageKind::Named,
        history_name: name.to_string(),
        label: stage.name.to_lowercase(),
        full_name: name.to_string(),
        path: path.to_string(),
        file_format: stage.body.file_format,
        copy_options: stage.body.copy_options,
        directory: stage.body.directory,
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
        .object::<Stage>(schema.schema_id, &name.name, context.temporary_session())
        .await?)
}

/// The user's own stage `@~`, made when first used.
async fn user_stage(context: &StatementContext, path: &str) -> Result<StageLocation, UserError> {
    let stage_id = implicit_stage(context, &user_stage_name(context.session.user_id)).await?;
    Ok(StageLocation {
        stage_id,
        kind: StageKind::User,
        history_name: context.session.user.clone(),
        label: String::new(),
        full_name: "~".to_string(),
        path: path.to_string(),
        file_format: BTreeMap::new(),
        copy_options: BTreeMap::new(),
        directory: false,
    })
}

/// `db.schema.%table`: what stands before the sign, and the table's name.
fn table_of(name: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (index, character) in name.char_indices() {
        match character {
            '"' => quoted = !quoted,
            '%' if !quoted && (index == 0 || name[..index].ends_with('.')) => {
                return Some((&name[..index], &name[index + 1..]));
            }
            _ => {}
        }
    }
    None
}

/// Name under which a table's stage is kept.
pub(crate) fn table_stage_name(table_id: i64) -> String {
    format!("%{table_id}")
}

/// The id of the table whose stage has this name.
pub(crate) fn table_of_stage(name: &str) -> Option<i64> {
    name.strip_prefix('%')?.parse().ok()
}

/// A table's stage `@%t`: only the table's owner may use it.
async fn table_stage(
    context: &StatementContext,
    table: &str,
    path: &str,
) -> Result<StageLocation, UserError> {
    let name = context.qualify(&parse_object_name_text(table)?)?;
    let view = context.shared.catalog.head_view().await?;
    let found = view.table(&name).cloned().ok_or_else(|| {
        // Temporary tables are not in the catalog. One that is hidden is told in the same words.
        UserError::not_found("Object", &name)
    })?;
    context.authorize(&[Requirement::new(
        table_object(&found),
        parents_of(&view, &name),
        Privilege::Ownership,
    )
    .hidden_as(HiddenError::DoesNotExist)])?;
    Ok(StageLocation {
        stage_id: implicit_stage(context, &table_stage_name(found.table_id)).await?,
        kind: StageKind::Table,
        history_name: name.to_string(),
        label: String::new(),
        full_name: format!("%{}", name.name),
        path: path.to_string(),
        file_format: BTreeMap::new(),
        copy_options: BTreeMap::new(),
        directory: false,
    })
}

/// The id of a stage that belongs to a user or a table, made when first used. It is kept outside
/// any schema, under a name no statement can form, and is no role's.
async fn implicit_stage(context: &StatementContext, name: &str) -> Result<i64, UserError> {
    let accounts = &context.shared.accounts;
    if let Some(stage) = accounts.object::<Stage>(0, name, 0).await? {
        return Ok(stage.id);
    }
    let mut transaction = AccountChange::on(accounts).await?;
    let mut writer = transaction.writer();
    // Another session may have made it since.
    if let Some(stage) = writer.object::<Stage>(0, name, 0).await? {
        return Ok(stage.id);
    }
    let stage = writer.create_unowned(name.to_string(), Stage::default()).await?;
    transaction.commit().await?;
    Ok(stage.id)
}

/// The error for a file that a statement names and the stage has not.
pub(crate) fn missing_file(location: &StageLocation, path: &str) -> UserError {
    UserError::new(
        Code::StageFileNotFound,
        format!("Remote file '{path}' was not found in stage '{}'.", location.shown()),
    )
}

/// The files a location, a list of names and a pattern select, in path order; and the paths of
/// names that are not there.
///
/// # Errors
/// A pattern that is no regular expression.
pub(crate) async fn select_files(
    context: &StatementContext,
    location: &StageLocation,
    files: Option<&[String]>,
    pattern: Option<&str>,
) -> Result<(Vec<StageFile>, Vec<String>), UserError> {
    let mut missing = Vec::new();
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
                match all.iter().find(|file| file.path == wanted) {
                    Some(file) if found.contains(file) => {}
                    Some(file) => found.push(file.clone()),
                    None => missing.push(wanted),
                }
            }
            found
        }
    };
    if let Some(pattern) = pattern {
        selected.retain(|file| pattern.is_match(&file.path));
    }
    Ok((selected, missing))
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
