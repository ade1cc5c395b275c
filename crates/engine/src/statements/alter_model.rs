//! ALTER MODEL: versions, aliases, default version, comment, name.

use frazil_common::{Code, Privilege, UserError};
use frazil_dialect::{AlterModel, AlterModelAction};

use crate::history::access::note_changed;
use crate::models::{actor, find_model};
use crate::resolve::objects::place;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_model::add_version;
use crate::statements::create_table::authorize_move;
use crate::statements::import_model::imported;
use crate::statements::outcome::Outcome;

const DONE: &str = "Statement executed successfully.";

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterModel,
) -> Result<Outcome, UserError> {
    let found = match find_model(context, &alter.name, Privilege::Ownership).await {
        Err(error) if alter.if_exists && error.code == Code::ObjectNotFound => {
            return Outcome::status(DONE);
        }
        other => other?,
    };
    let id = found.model.id;
    if let AlterModelAction::AddVersion(training) = &alter.action {
        return add_version(context, work, &found.name, id, training).await;
    }
    let registry = &context.shared.registry;
    let actor = actor(context);
    if context.describe_only {
        return Outcome::status(DONE);
    }
    // Reading a file may take long; all else is short.
    if !matches!(alter.action, AlterModelAction::AddVersionFromFile(_)) {
        context.committing.begin().await;
    }
    match &alter.action {
        AlterModelAction::AddVersion(_) => {}
        AlterModelAction::AddVersionFromFile(import) => {
            let version = imported(context, import).await?;
            context.committing.begin().await;
            let version = registry.add_version(id, version, &actor).await?;
            note_changed(context, found.object(), Privilege::Write);
            return Outcome::status(format!("Version {} successfully added.", version.name));
        }
        AlterModelAction::SetDefaultVersion(version) => {
            registry.set_default_version(id, version, &actor).await?;
        }
        AlterModelAction::SetAlias { version, alias } => {
            registry.set_alias(id, alias, Some(version), &actor).await?;
        }
        AlterModelAction::UnsetAlias { version, alias } => {
            let versions = registry.versions(id).await?;
            let version = frazil_models::find_version(&found.model, &versions, Some(version))?;
            let aliases = match alias {
                Some(alias) => vec![alias.clone()],
                None => version.aliases.clone(),
            };
            for alias in aliases {
                registry.set_alias(id, &alias, None, &actor).await?;
            }
        }
        AlterModelAction::SetVersionComment { version, comment } => {
            registry.set_version_comment(id, version, Some(comment.clone())).await?;
        }
        AlterModelAction::DropVersion { version, if_exists } => {
            match registry.drop_version(id, version, &actor).await.map_err(UserError::from) {
                Err(error) if *if_exists && error.code == Code::ObjectNotFound => {}
                other => other?,
            }
        }
        AlterModelAction::SetComment(comment) => {
            let mut model = found.model;
            model.comment = Some(comment.clone());
            registry.update_model(&model).await?;
        }
        AlterModelAction::UnsetComment => {
            let mut model = found.model;
            model.comment = None;
            registry.update_model(&model).await?;
        }
        AlterModelAction::RenameTo(name) => {
            let name = context.qualify(name)?;
            let view = work.lake()?.view().clone();
            let mut model = found.model;
            let to = place(&view, &name)?;
            if to.schema_id != model.place.schema_id {
                authorize_move(context, work, &name, Privilege::CreateModel)?;
            }
            model.place = to;
            model.name = name.name;
            registry.update_model(&model).await?;
        }
    }
    Outcome::status(DONE)
}
