//! ALTER VIEW, SCHEMA, DATABASE, ROLE, USER, STAGE, FILE FORMAT and SEQUENCE.

use frazil_catalog::CatalogView;
use frazil_catalog::account::{FileFormat, Object, ObjectBody, Place, Role, Sequence, Stage, User};
use frazil_common::{
    Code, ObjectKind, ObjectName, Privilege, QualifiedName, UserError, quote_identifier,
};
use frazil_dialect::{AlterObject, AlterObjectAction, ObjectWord, OptionValue, Options};
use frazil_governance::system;

use crate::resolve::objects::schema as expect_schema;
use crate::stages::file_format;
use crate::statements::access_token;
use crate::statements::account_change::AccountChange;
use crate::statements::alter_account;
use crate::statements::alter_table::keep_tags_of_moved;
use crate::statements::comment::set_comment;
use crate::statements::context::{StatementContext, Work};
use crate::statements::create_table::authorize_move;
use crate::statements::database_role;
use crate::statements::drop::end_sessions;
use crate::statements::lookup::{
    Found, Target, absent, described_status, find, no_current_database, single,
};
use crate::statements::option_values::{boolean, integer, optional_text, text, unknown};
use crate::statements::outcome::Outcome;
use crate::statements::principals::{UserOptions, expect_user, no_such_user};
use crate::statements::rename_database;
use crate::statements::rename_schema;
use crate::statements::retention::RETENTION;
use crate::statements::table_options::{TableOptions, check_unset};

const DONE: &str = "Statement executed successfully.";

/// Where Python packages come from.
const ARTIFACT_REPOSITORY: &str = "DEFAULT_PYTHON_ARTIFACT_REPOSITORY";
/// Snowflake's names for that place; here both mean PyPI.
const REPOSITORIES: &[&str] =
    &["SNOWFLAKE.SNOWPARK.ANACONDA_SHARED_REPOSITORY", "SNOWFLAKE.SNOWPARK.PYPI_SHARED_REPOSITORY"];

pub(crate) async fn run(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterObject,
) -> Result<Outcome, UserError> {
    if alter.kind == ObjectWord::Account {
        return alter_account::run(context, alter).await;
    }
    if alter.kind == ObjectWord::User {
        return user(context, alter).await;
    }
    let view = work.lake()?.view().clone();
    let name = name_of(context, alter)?;
    let Some(found) = find(context, &view, alter.kind, &name).await? else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(absent(context, alter.kind, &name))
        };
    };
    found.require(context, &[required(&found, &alter.action)])?;
    if let Some(comment) = comment_only(&alter.action)? {
        if !context.describe_only {
            set_comment(context, work, found, comment).await?;
        }
        return answer(context);
    }
    match found.target.clone() {
        Target::View(info) => {
            let name = info.name.clone();
            match &alter.action {
                AlterObjectAction::RenameTo(to) => {
                    let to = complete(to, &name);
                    if to.database != name.database {
                        return Err(UserError::unsupported(
                            "ALTER VIEW … RENAME TO another database",
                        ));
                    }
                    if (&to.database, &to.schema) != (&name.database, &name.schema) {
                        authorize_move(context, work, &to, Privilege::CreateView)?;
                    }
                    if !context.describe_only {
                        let account = context.shared.accounts.view().await?;
                        let lake = work.lake()?;
                        let own = (ObjectKind::View, info.view_id);
                        keep_tags_of_moved(&account, lake, own, &name, &to);
                        lake.alter_view(&name, |view| view.name = to)?;
                    }
                }
                AlterObjectAction::Secure(secure) => {
                    if !context.describe_only {
                        work.lake()?.alter_view(&name, |view| view.secure = *secure)?;
                    }
                }
                action => return Err(refused(alter.kind, action)),
            }
        }
        Target::Database(database) => match &alter.action {
            AlterObjectAction::RenameTo(to) => {
                rename_database::rename(context, work, &database, to).await?;
            }
            AlterObjectAction::SwapWith(other) => {
                rename_database::swap(context, work, &database, other).await?;
            }
            _ => namespace(context, work, alter, found).await?,
        },
        Target::Schema(schema) => match &alter.action {
            AlterObjectAction::RenameTo(to) => {
                rename_schema::rename(context, work, &schema, to).await?;
            }
            AlterObjectAction::SwapWith(other) => {
                rename_schema::swap(context, work, &schema, other).await?;
            }
            _ => namespace(context, work, alter, found).await?,
        },
        Target::DatabaseRole(role) => match &alter.action {
            AlterObjectAction::RenameTo(to) => {
                database_role::rename(context, role, &name, to).await?;
            }
            action => return Err(refused(alter.kind, action)),
        },
        Target::Role(role) => match &alter.action {
            AlterObjectAction::RenameTo(to) => rename_role(context, role, to).await?,
            action => return Err(refused(alter.kind, action)),
        },
        Target::Stage(stage) => alter_stage(context, work, &view, alter, stage).await?,
        Target::FileFormat(format) => alter_format(context, work, &view, alter, format).await?,
        Target::Sequence(sequence) => {
            alter_sequence(context, work, &view, alter, sequence).await?;
        }
        _ => return Err(refused(alter.kind, &alter.action)),
    }
    answer(context)
}

/// The object's name, or that of the session's current schema or database.
fn name_of(context: &StatementContext, alter: &AlterObject) -> Result<ObjectName, UserError> {
    if let Some(name) = &alter.name {
        return Ok(name.clone());
    }
    let state = &context.state;
    let database = state.database.clone().ok_or_else(no_current_database)?;
    if alter.kind == ObjectWord::Database {
        return Ok(ObjectName::bare(&database));
    }
    let schema = state.schema.clone().ok_or_else(|| {
        UserError::new(
            Code::NoCurrentSchema,
            "Cannot perform ALTER SCHEMA. This session does not have a current schema. Call 'USE \
             SCHEMA', or use a qualified name.",
        )
    })?;
    Ok(ObjectName { database: None, schema: Some(database), name: schema })
}

fn answer(context: &StatementContext) -> Result<Outcome, UserError> {
    if context.describe_only { described_status() } else { Outcome::status(DONE) }
}

fn required(found: &Found, action: &AlterObjectAction) -> Privilege {
    let sets = matches!(action, AlterObjectAction::Set(_) | AlterObjectAction::Unset(_));
    match found.object.kind {
        ObjectKind::Database | ObjectKind::Schema if sets => Privilege::Modify,
        _ => Privilege::Ownership,
    }
}

/// The new comment, where the action sets or unsets nothing else.
fn comment_only(action: &AlterObjectAction) -> Result<Option<Option<String>>, UserError> {
    Ok(match action {
        AlterObjectAction::Set(Options(options)) => match options.as_slice() {
            [(key, value)] if key == "COMMENT" => Some(optional_text(key, value)?),
            _ => None,
        },
        AlterObjectAction::Unset(keys) if keys.as_slice() == ["COMMENT"] => Some(None),
        _ => None,
    })
}

fn refused(kind: ObjectWord, action: &AlterObjectAction) -> UserError {
    match action {
        AlterObjectAction::RenameTo(_) => UserError::unsupported(format!("ALTER {kind} … RENAME")),
        AlterObjectAction::SwapWith(_) => UserError::unsupported(format!("ALTER {kind} … SWAP")),
        AlterObjectAction::Set(options) => {
            let key = options.iter().map(|(key, _)| key).find(|key| *key != "COMMENT");
            unknown(kind.as_str(), key.unwrap_or("COMMENT"))
        }
        AlterObjectAction::Unset(keys) => {
            let key = keys.iter().map(String::as_str).find(|key| *key != "COMMENT");
            unknown(kind.as_str(), key.unwrap_or("COMMENT"))
        }
        AlterObjectAction::Refresh => UserError::unsupported("directory tables of stages"),
        // Snowflake answers with the address of a page on which the user sets one.
        AlterObjectAction::ResetPassword => UserError::unsupported(
            "ALTER USER … RESET PASSWORD (SET PASSWORD = '…' MUST_CHANGE_PASSWORD = TRUE gives a new one)",
        ),
        AlterObjectAction::Secure(_)
        | AlterObjectAction::ManagedAccess(_)
        | AlterObjectAction::AbortAllQueries => {
            UserError::unsupported(format!("this form of ALTER {kind}"))
        }
    }
}

/// A new name; what it leaves out stays as it was.
pub(crate) fn complete(to: &ObjectName, from: &QualifiedName) -> QualifiedName {
    QualifiedName {
        database: to.database.clone().unwrap_or_else(|| from.database.clone()),
        schema: to.schema.clone().unwrap_or_else(|| from.schema.clone()),
        name: to.name.clone(),
    }
}

async fn namespace(
    context: &StatementContext,
    work: &mut Work,
    alter: &AlterObject,
    found: Found,
) -> Result<(), UserError> {
    if let (AlterObjectAction::ManagedAccess(true), Target::Schema(schema)) =
        (&alter.action, &found.target)
    {
        // Its owner is to decide on grants in the place of the objects' owners.
        let account = context.shared.accounts.view().await?;
        let view = work.lake()?.view().clone();
        let place = (schema.database.as_str(), schema.name.as_str());
        let tables = view.tables_in(place.0, place.1).map(|t| (ObjectKind::Table, t.table_id));
        let views = view.views_in(place.0, place.1).map(|v| (ObjectKind::View, v.view_id));
        let others = tables.chain(views).any(|(kind, id)| {
            account
                .owner(kind, id)
                .is_some_and(|owner| !context.model.includes(&context.roles, owner))
        });
        if others {
            require_manage_grants(context)?;
        }
    }
    if let (AlterObjectAction::ManagedAccess(managed), Target::Schema(schema)) =
        (&alter.action, &found.target)
    {
        if !context.describe_only {
            let mut change = AccountChange::begin(context).await?;
            change.writer().set_managed_access(schema.schema_id, *managed).await?;
            change.commit().await?;
        }
        return Ok(());
    }
    let kind = alter.kind.as_str();
    let transient = match &found.target {
        Target::Database(database) => database.transient,
        Target::Schema(schema) => schema.transient,
        _ => return Err(UserError::internal("a namespace is none")),
    };
    // The inner none takes a setting away.
    let (comment, retention): (Option<Option<String>>, Option<Option<u16>>) = match &alter.action {
        AlterObjectAction::Set(options) => {
            let mut options = options.clone();
            if let Some(value) = options.take(ARTIFACT_REPOSITORY) {
                let repository = text(ARTIFACT_REPOSITORY, &value)?;
                if !REPOSITORIES.iter().any(|known| known.eq_ignore_ascii_case(&repository)) {
                    return Err(UserError::unsupported(format!(
                        "artifact repository {repository}"
                    )));
                }
            }
            let options = TableOptions::read(kind, &options, transient)?;
            (options.comment, options.retention_days.map(Some))
        }
        AlterObjectAction::Unset(keys) => {
            for key in keys.iter().filter(|key| *key != ARTIFACT_REPOSITORY) {
                check_unset(kind, key)?;
            }
            let has = |wanted: &str| keys.iter().any(|key| key == wanted);
            (has("COMMENT").then_some(None), has(RETENTION).then_some(None))
        }
        action => return Err(refused(alter.kind, action)),
    };
    if context.describe_only {
        return Ok(());
    }
    let lake = work.lake()?;
    match &found.target {
        Target::Database(database) => lake.alter_database(&database.name, |database| {
            if let Some(comment) = comment {
                database.comment = comment;
            }
            if let Some(days) = retention {
                database.retention_days = days;
            }
        })?,
        Target::Schema(schema) => lake.alter_schema(&schema.database, &schema.name, |schema| {
            if let Some(comment) = comment {
                schema.comment = comment;
            }
            if let Some(days) = retention {
                schema.retention_days = days;
            }
        })?,
        _ => {}
    }
    Ok(())
}

async fn rename_role(
    context: &StatementContext,
    mut role: Role,
    to: &ObjectName,
) -> Result<(), UserError> {
    let to = single(to)?;
    database_role::refuse_dot(&to)?;
    if system::ALL.contains(&role.name.as_str()) {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!("System role '{}' can not be renamed.", role.name),
        ));
    }
    if context.describe_only {
        return Ok(());
    }
    let from = std::mem::replace(&mut role.name, to.clone());
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_role(&role).await?;
    change.commit().await?;
    for session in context.shared.sessions.read().values() {
        let mut state = session.state.lock();
        if state.role == from {
            state.role.clone_from(&to);
        }
    }
    Ok(())
}

/// Moves a schema's object to a new name, which is free there and may be in another schema.
async fn renamed<B: ObjectBody>(
    context: &StatementContext,
    work: &mut Work,
    view: &CatalogView,
    alter: &AlterObject,
    to: &ObjectName,
    object: &mut Object<B>,
    privilege: Privilege,
) -> Result<(), UserError> {
    let from = context.qualify(&name_of(context, alter)?)?;
    let to = complete(to, &from);
    if (&to.database, &to.schema) != (&from.database, &from.schema) {
        authorize_move(context, work, &to, privilege)?;
    }
    let schema = expect_schema(view, &to.database, &to.schema)?;
    let taken = context
        .shared
        .accounts
        .object::<B>(schema.schema_id, &to.name, object.place.session_id)
        .await?;
    if taken.is_some_and(|taken| taken.place.session_id == object.place.session_id) {
        return Err(UserError::exists(quote_identifier(&to.name)));
    }
    let database_id = view.database(&to.database).map_or(0, |database| database.database_id);
    object.name = to.name;
    object.place = Place { database_id, schema_id: schema.schema_id, ..object.place };
    Ok(())
}

async fn save<B: ObjectBody>(
    context: &StatementContext,
    object: &Object<B>,
) -> Result<(), UserError> {
    if context.describe_only {
        return Ok(());
    }
    let mut change = AccountChange::begin(context).await?;
    change.writer().update_object(object).await?;
    change.commit().await
}

fn map<'a>(key: &str, value: &'a OptionValue) -> Result<&'a Options, UserError> {
    match value {
        OptionValue::Map(options) => Ok(options),
        other => Err(UserError::new(
            Code::InvalidArgument,
            format!("invalid value [{other}] for parameter '{key}'"),
        )),
    }
}

async fn alter_stage(
    context: &StatementContext,
    work: &mut Work,
    view: &CatalogView,
    alter: &AlterObject,
    mut stage: Object<Stage>,
) -> Result<(), UserError> {
    match &alter.action {
        AlterObjectAction::RenameTo(to) => {
            let privilege = Privilege::CreateStage;
            renamed(context, work, view, alter, to, &mut stage, privilege).await?;
        }
        AlterObjectAction::Set(options) => {
            for (key, value) in options.iter() {
                match key {
                    "COMMENT" => stage.comment = optional_text(key, value)?,
                    "FILE_FORMAT" => {
                        let formats = file_format::to_json(map(key, value)?);
                        if !formats.contains_key("FORMAT_NAME") {
                            file_format::build(&formats)?;
                        }
                        stage.body.file_format = formats;
                    }
                    "COPY_OPTIONS" => {
                        stage.body.copy_options = file_format::to_json(map(key, value)?);
                    }
                    "DIRECTORY" => {
                        if let Some(value) = map(key, value)?.get("ENABLE") {
                            stage.body.directory = boolean("ENABLE", value)?;
                        }
                    }
                    other => return Err(unknown("STAGE", other)),
                }
            }
        }
        action => return Err(refused(alter.kind, action)),
    }
    save(context, &stage).await
}

async fn alter_format(
    context: &StatementContext,
    work: &mut Work,
    view: &CatalogView,
    alter: &AlterObject,
    mut format: Object<FileFormat>,
) -> Result<(), UserError> {
    match &alter.action {
        AlterObjectAction::RenameTo(to) => {
            let privilege = Privilege::CreateFileFormat;
            renamed(context, work, view, alter, to, &mut format, privilege).await?;
        }
        AlterObjectAction::Set(options) => {
            let mut options = options.clone();
            if let Some(comment) = options.take("COMMENT") {
                format.comment = optional_text("COMMENT", &comment)?;
            }
            let given = file_format::to_json(&options);
            let same = given.get("TYPE").is_none_or(|value| {
                value.as_str().is_some_and(|t| t.eq_ignore_ascii_case(&format.body.format_type))
            });
            if !same {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    "The TYPE of a file format can not be changed.",
                ));
            }
            let kept = given.into_iter().filter(|(key, _)| key != "TYPE");
            format.body.options.extend(kept);
            let mut all = format.body.options.clone();
            all.insert("TYPE".to_string(), format.body.format_type.as_str().into());
            file_format::build(&all)?;
        }
        action => return Err(refused(alter.kind, action)),
    }
    save(context, &format).await
}

async fn alter_sequence(
    context: &StatementContext,
    work: &mut Work,
    view: &CatalogView,
    alter: &AlterObject,
    mut sequence: Object<Sequence>,
) -> Result<(), UserError> {
    match &alter.action {
        AlterObjectAction::RenameTo(to) => {
            let privilege = Privilege::CreateSequence;
            renamed(context, work, view, alter, to, &mut sequence, privilege).await?;
        }
        AlterObjectAction::Set(options) => {
            for (key, value) in options.iter() {
                match key {
                    "COMMENT" => sequence.comment = optional_text(key, value)?,
                    "INCREMENT" => {
                        sequence.body.increment = integer(key, value, i64::MIN..=i64::MAX)?;
                        if sequence.body.increment == 0 {
                            return Err(UserError::new(
                                Code::InvalidArgument,
                                "Sequence increment can not be 0.",
                            ));
                        }
                    }
                    other => return Err(unknown("SEQUENCE", other)),
                }
            }
        }
        action => return Err(refused(alter.kind, action)),
    }
    save(context, &sequence).await
}

async fn user(context: &StatementContext, alter: &AlterObject) -> Result<Outcome, UserError> {
    let name = single(&name_of(context, alter)?)?;
    let Some(mut user) = expect_user(context, Some(&name)).await? else {
        return if alter.if_exists {
            Outcome::status(DONE)
        } else {
            Err(no_such_user(context, &name))
        };
    };
    let options = match &alter.action {
        AlterObjectAction::Set(options) => UserOptions::read(options)?,
        AlterObjectAction::Unset(keys) => UserOptions::unset(keys)?,
        _ => UserOptions::default(),
    };
    // Users change what is their own choice; all else, and other users', takes ownership. A session
    // that is held to one role does neither.
    let own = user.name == context.session.user;
    if !(own && options.is_own_choice() && context.session.role_restriction.is_none()) {
        crate::statements::lookup::of_user(user.clone())
            .require(context, &[Privilege::Ownership])?;
    }
    let before = user.name.clone();
    let keys = |user: &User| {
        [user.properties.rsa_public_key.clone(), user.properties.rsa_public_key_2.clone()]
    };
    let keys_before = keys(&user);
    match &alter.action {
        AlterObjectAction::Set(_) | AlterObjectAction::Unset(_) => {
            if context.describe_only {
                return described_status();
            }
            options.apply(&mut user).await?;
        }
        AlterObjectAction::RenameTo(to) => {
            if own {
                return Err(UserError::new(
                    Code::InvalidStatement,
                    format!("User '{name}' can not rename itself."),
                ));
            }
            // A login name that was never set follows the name.
            if user.login_name == user.name.to_uppercase() {
                user.login_name = to.name.to_uppercase();
            }
            user.name = single(to)?;
        }
        AlterObjectAction::AbortAllQueries => {
            if !context.describe_only {
                abort_queries(context, &user);
            }
            return answer(context);
        }
        action => return Err(refused(alter.kind, action)),
    }
    if context.describe_only {
        return described_status();
    }
    if own && user.disabled {
        return Err(UserError::new(
            Code::InvalidStatement,
            format!("User '{name}' can not disable itself."),
        ));
    }
    let mut change = AccountChange::keeping_administrator(context).await?;
    let mut writer = change.writer();
    writer.update_user(&user).await?;
    options.save_beside(&mut writer, user.id, &user.login_name).await?;
    change.commit().await?;
    if user.disabled {
        close_sessions(context, user.id).await?;
    }
    if keys(&user) != keys_before {
        access_token::end_sessions(context).await;
    }
    if user.disabled || user.name != before {
        // A session that may go on is made again from its row at its next request.
        end_sessions(context, &before);
    }
    Outcome::status(DONE)
}

/// Managed access over objects of other owners takes MANAGE GRANTS.
pub(crate) fn require_manage_grants(context: &StatementContext) -> Result<(), UserError> {
    if context.model.has_global(&context.roles, Privilege::ManageGrants) {
        return Ok(());
    }
    Err(UserError::new(
        Code::InsufficientPrivileges,
        "SQL access control error: Insufficient privileges: managed access over objects of other \
         owners takes MANAGE GRANTS on the account.",
    ))
}

/// The sessions of a disabled user end for good: they are not there when the user is enabled again.
async fn close_sessions(context: &StatementContext, user_id: i64) -> Result<(), UserError> {
    for session in context.shared.accounts.sessions().await? {
        if session.user_id == user_id {
            context.shared.close_session(session.id).await?;
        }
    }
    Ok(())
}

fn abort_queries(context: &StatementContext, user: &User) {
    let own = context.query_id().parse().ok();
    for session in context.shared.sessions.read().values() {
        if session.user == user.name {
            context.shared.results.cancel_session(session.id, own);
        }
    }
}
