//! Finds the object a statement names, of whatever kind, with what authorisation needs of it.

use std::sync::Arc;

use frazil_catalog::account::{
    Endpoint, FileFormat, MaskingPolicy, Model, Object, ObjectBody, ObjectFilter, ResourceMonitor,
    Role, RowAccessPolicy, Sequence, Stage, Tag, User, Warehouse,
};
use frazil_catalog::{
    CatalogView, DatabaseInfo, Relation, SchemaInfo, TableInfo, TableKind, ViewInfo,
};
use frazil_common::{
    Code, ObjectKind, ObjectName, ObjectRef, Privilege, QualifiedName, SqlType, UserError,
    quote_identifier,
};
use frazil_dialect::{ObjectWord, Scope};
use frazil_governance::Requirement;

use crate::resolve::objects::{
    database_object, parents_of, schema_object, table_object, view_object,
};
use crate::statements::context::StatementContext;
use crate::statements::database_role;
use crate::statements::outcome::Outcome;

/// An object of any kind, as the catalog describes it.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Table(Arc<TableInfo>),
    View(Arc<ViewInfo>),
    Schema(Arc<SchemaInfo>),
    Database(Arc<DatabaseInfo>),
    Stage(Object<Stage>),
    FileFormat(Object<FileFormat>),
    Sequence(Object<Sequence>),
    Model(Object<Model>),
    MaskingPolicy(Object<MaskingPolicy>),
    RowAccessPolicy(Object<RowAccessPolicy>),
    Tag(Object<Tag>),
    Endpoint(Object<Endpoint>),
    Warehouse(Object<Warehouse>),
    ResourceMonitor(Object<ResourceMonitor>),
    Role(Role),
    DatabaseRole(Role),
    User(User),
}

/// An object with its reference and the containers through which it is reached.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub target: Target,
    pub object: ObjectRef,
    pub parents: Vec<ObjectRef>,
}

impl Found {
    /// Temporary tables belong to their session alone: no grant is needed, none is possible.
    fn is_temporary(&self) -> bool {
        matches!(&self.target, Target::Table(table) if table.kind == TableKind::Temporary)
    }

    pub fn is_visible(&self, context: &StatementContext) -> bool {
        self.is_temporary() || context.sees(&self.object, &self.parents)
    }

    /// Whether the role gets to where the object is.
    fn is_reached(&self, context: &StatementContext) -> bool {
        let Some((schema, above)) = self.parents.split_last() else { return false };
        let reach = Requirement::any(schema.clone(), above.to_vec());
        context.authorize(&[reach]).is_ok()
    }

    /// Whether the role may put policies or tags on anything, and so know this object where it reaches it.
    pub fn is_governed(&self, context: &StatementContext) -> bool {
        let globals: &[Privilege] = match self.object.kind {
            ObjectKind::Table | ObjectKind::View => {
                &[Privilege::ApplyMaskingPolicy, Privilege::ApplyRowAccessPolicy]
            }
            ObjectKind::MaskingPolicy => &[Privilege::ApplyMaskingPolicy],
            ObjectKind::RowAccessPolicy => &[Privilege::ApplyRowAccessPolicy],
            ObjectKind::Tag => &[Privilege::ApplyTag],
            _ => &[],
        };
        let holds = |global: &Privilege| context.authorize(&[Requirement::global(*global)]).is_ok();
        globals.iter().any(holds) && self.is_reached(context)
    }

    /// Whether the roles own the object: those who may see a secure view's text, for one.
    pub fn is_owned(&self, context: &StatementContext) -> bool {
        self.require(context, &[Privilege::Ownership]).is_ok()
    }

    /// Demands one of these privileges on the object; an empty list demands any at all.
    pub fn require(
        &self,
        context: &StatementContext,
        any_of: &[Privilege],
    ) -> Result<(), UserError> {
        if self.is_temporary() {
            return Ok(());
        }
        let mut requirement = Requirement::any(self.object.clone(), self.parents.clone());
        requirement.any_of = any_of.to_vec();
        context.authorize(&[requirement])
    }
}

/// The kind privileges are kept under; kinds that are not offered are refused by name.
pub(crate) fn object_kind(word: ObjectWord) -> Result<ObjectKind, UserError> {
    Ok(match word {
        ObjectWord::Table => ObjectKind::Table,
        ObjectWord::View => ObjectKind::View,
        ObjectWord::Schema => ObjectKind::Schema,
        ObjectWord::Database => ObjectKind::Database,
        ObjectWord::Stage => ObjectKind::Stage,
        ObjectWord::FileFormat => ObjectKind::FileFormat,
        ObjectWord::Sequence => ObjectKind::Sequence,
        ObjectWord::Model => ObjectKind::Model,
        ObjectWord::MaskingPolicy => ObjectKind::MaskingPolicy,
        ObjectWord::RowAccessPolicy => ObjectKind::RowAccessPolicy,
        ObjectWord::Tag => ObjectKind::Tag,
        ObjectWord::Endpoint => ObjectKind::Endpoint,
        ObjectWord::Warehouse => ObjectKind::Warehouse,
        ObjectWord::ResourceMonitor => ObjectKind::ResourceMonitor,
        ObjectWord::Role => ObjectKind::Role,
        ObjectWord::DatabaseRole => ObjectKind::DatabaseRole,
        ObjectWord::User => ObjectKind::User,
        ObjectWord::Account => ObjectKind::Account,
        other => return Err(UserError::unsupported(format!("objects of kind {other}"))),
    })
}

/// Whether the role may know of the object and what it is; none for absent and hidden ones alike.
pub(crate) async fn find(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<Option<Found>, UserError> {
    let found = find_any(context, view, word, name).await?;
    Ok(found.filter(|found| found.is_visible(context)))
}

/// As [`find`], for a role that may govern objects it holds nothing on: it need only reach them.
pub(crate) async fn find_reached(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<Option<Found>, UserError> {
    let found = find_any(context, view, word, name).await?;
    Ok(found.filter(|found| found.is_visible(context) || found.is_reached(context)))
}

/// As [`find`], where what governs such objects in the whole account shows them too.
pub(crate) async fn find_described(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<Option<Found>, UserError> {
    let found = find_any(context, view, word, name).await?;
    Ok(found.filter(|found| found.is_visible(context) || found.is_governed(context)))
}

/// As [`find`]; Snowflake's 002003 where there is none.
pub(crate) async fn expect(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<Found, UserError> {
    match find(context, view, word, name).await? {
        Some(found) => Ok(found),
        None => Err(absent(context, word, name)),
    }
}

async fn find_any(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    name: &ObjectName,
) -> Result<Option<Found>, UserError> {
    let accounts = &context.shared.accounts;
    Ok(match object_kind(word)? {
        ObjectKind::Table => match view.relation(&context.qualify(name)?) {
            Some(Relation::Table(table)) => Some(of_table(view, table)),
            Some(Relation::View(found)) => {
                return wrong_kind(context, of_view(view, found), "VIEW", "TABLE");
            }
            None => None,
        },
        ObjectKind::View => match view.relation(&context.qualify(name)?) {
            Some(Relation::View(found)) => Some(of_view(view, found)),
            Some(Relation::Table(table)) => {
                return wrong_kind(context, of_table(view, table), "TABLE", "VIEW");
            }
            None => None,
        },
        ObjectKind::Schema => {
            let (database, schema) = schema_name(context, name)?;
            view.schema(&database, &schema).map(|schema| of_schema(view, schema.clone()))
        }
        ObjectKind::Database => {
            view.database(&single(name)?).map(|database| of_database(database.clone()))
        }
        ObjectKind::Stage => in_schema(context, view, name, Target::Stage).await?,
        ObjectKind::FileFormat => in_schema(context, view, name, Target::FileFormat).await?,
        ObjectKind::Sequence => in_schema(context, view, name, Target::Sequence).await?,
        ObjectKind::Model => in_schema(context, view, name, Target::Model).await?,
        ObjectKind::MaskingPolicy => in_schema(context, view, name, Target::MaskingPolicy).await?,
        ObjectKind::RowAccessPolicy => {
            in_schema(context, view, name, Target::RowAccessPolicy).await?
        }
        ObjectKind::Tag => in_schema(context, view, name, Target::Tag).await?,
        ObjectKind::Endpoint => accounts
            .object::<Endpoint>(0, &single(name)?, 0)
            .await?
            .map(|object| of_account(object, Target::Endpoint)),
        ObjectKind::Warehouse => accounts
            .object::<Warehouse>(0, &single(name)?, 0)
            .await?
            .map(|object| of_account(object, Target::Warehouse)),
        ObjectKind::ResourceMonitor => accounts
            .object::<ResourceMonitor>(0, &single(name)?, 0)
            .await?
            .map(|object| of_account(object, Target::ResourceMonitor)),
        ObjectKind::Role => {
            let account = accounts.view().await?;
            let role = account.roles.get(&single(name)?).cloned();
            role.filter(|role| !role.is_of_database()).map(of_role)
        }
        ObjectKind::DatabaseRole => {
            let account = accounts.view().await?;
            let full = database_role::full_name(context, name)?;
            account.roles.get(&full).cloned().map(|role| database_role::found(view, role))
        }
        ObjectKind::User => {
            let account = accounts.view().await?;
            account.users.get(&single(name)?).cloned().map(of_user)
        }
        ObjectKind::Account => {
            return Err(UserError::unsupported("naming the account as an object"));
        }
    })
}

/// Tables and views share one name space, so a name can be taken by the other kind.
fn wrong_kind(
    context: &StatementContext,
    found: Found,
    is: &str,
    wanted: &str,
) -> Result<Option<Found>, UserError> {
    if !found.is_visible(context) {
        return Ok(None);
    }
    Err(UserError::new(
        Code::InvalidStatement,
        format!("Object found is of type '{is}', not specified type '{wanted}'."),
    ))
}

pub(crate) fn of_table(view: &CatalogView, table: Arc<TableInfo>) -> Found {
    Found {
        object: table_object(&table),
        parents: parents_of(view, &table.name),
        target: Target::Table(table),
    }
}

pub(crate) fn of_view(catalog: &CatalogView, view: Arc<ViewInfo>) -> Found {
    Found {
        object: view_object(&view),
        parents: parents_of(catalog, &view.name),
        target: Target::View(view),
    }
}

pub(crate) fn of_schema(view: &CatalogView, schema: Arc<SchemaInfo>) -> Found {
    Found {
        object: schema_object(&schema),
        parents: database_object(view, &schema.database).into_iter().collect(),
        target: Target::Schema(schema),
    }
}

pub(crate) fn of_database(database: Arc<DatabaseInfo>) -> Found {
    Found {
        object: ObjectRef {
            kind: ObjectKind::Database,
            id: database.database_id,
            name: quote_identifier(&database.name),
        },
        parents: Vec::new(),
        target: Target::Database(database),
    }
}

pub(crate) fn of_role(role: Role) -> Found {
    Found { object: role_object(&role), parents: Vec::new(), target: Target::Role(role) }
}

pub(crate) fn of_user(user: User) -> Found {
    Found {
        object: ObjectRef {
            kind: ObjectKind::User,
            id: user.id,
            name: quote_identifier(&user.name),
        },
        parents: Vec::new(),
        target: Target::User(user),
    }
}

pub(crate) fn role_object(role: &Role) -> ObjectRef {
    ObjectRef { kind: ObjectKind::Role, id: role.id, name: quote_identifier(&role.name) }
}

/// The account itself, as privileges on it are granted.
pub(crate) fn account_object() -> ObjectRef {
    ObjectRef { kind: ObjectKind::Account, id: 0, name: "ACCOUNT".to_string() }
}

fn of_account<B: ObjectBody>(object: Object<B>, target: fn(Object<B>) -> Target) -> Found {
    Found {
        object: ObjectRef { kind: B::KIND, id: object.id, name: quote_identifier(&object.name) },
        parents: Vec::new(),
        target: target(object),
    }
}

/// An object of a schema, by the schema that holds it.
pub(crate) fn of_schema_object<B: ObjectBody>(
    view: &CatalogView,
    schema: &SchemaInfo,
    object: Object<B>,
    target: fn(Object<B>) -> Target,
) -> Found {
    let name = QualifiedName::new(&schema.database, &schema.name, &object.name);
    Found {
        object: ObjectRef { kind: B::KIND, id: object.id, name: name.to_string() },
        parents: parents_of(view, &name),
        target: target(object),
    }
}

async fn in_schema<B: ObjectBody>(
    context: &StatementContext,
    view: &CatalogView,
    name: &ObjectName,
    target: fn(Object<B>) -> Target,
) -> Result<Option<Found>, UserError> {
    let full = context.qualify(name)?;
    let Some(schema) = view.schema(&full.database, &full.schema) else { return Ok(None) };
    let object = context
        .shared
        .accounts
        .object::<B>(schema.schema_id, &full.name, context.session.id)
        .await?;
    Ok(object.map(|object| of_schema_object(view, schema, object, target)))
}

/// A name of one part, as databases, roles, users, warehouses and endpoints have.
pub(crate) fn single(name: &ObjectName) -> Result<String, UserError> {
    match name {
        ObjectName { database: None, schema: None, name } => Ok(name.clone()),
        other => Err(UserError::syntax(format!("'{other}' must be a name of one part."))),
    }
}

/// Database and name of a schema, which is written as the last two parts of a name.
pub(crate) fn schema_name(
    context: &StatementContext,
    name: &ObjectName,
) -> Result<(String, String), UserError> {
    if name.database.is_some() {
        return Err(UserError::syntax(format!("'{name}' is no name of a schema.")));
    }
    match name.schema.clone().or_else(|| context.state.database.clone()) {
        Some(database) => Ok((database, name.name.clone())),
        None => Err(no_current_database()),
    }
}

pub(crate) fn no_current_database() -> UserError {
    UserError::new(
        Code::NoCurrentDatabase,
        "Cannot perform operation. This session does not have a current database. Call 'USE \
         DATABASE', or use a qualified name.",
    )
}

/// 002003 for an object that is absent or hidden.
pub(crate) fn absent(context: &StatementContext, word: ObjectWord, name: &ObjectName) -> UserError {
    let full = match object_kind(word) {
        Ok(kind) if kind.in_schema() => context.qualify(name).map(|name| name.to_string()),
        Ok(ObjectKind::DatabaseRole) => database_role::full_name(context, name),
        Ok(ObjectKind::Schema) => schema_name(context, name).map(|(database, schema)| {
            format!("{}.{}", quote_identifier(&database), quote_identifier(&schema))
        }),
        _ => Ok(name.to_string()),
    };
    UserError::not_found(noun(word), full.unwrap_or_else(|_| name.to_string()))
}

/// 002043, as USE and DESCRIBE say it of an absent or hidden object.
pub(crate) fn cannot_be_performed() -> UserError {
    UserError::new(
        Code::ObjectNotFoundOrNotAuthorized,
        "Object does not exist, or operation cannot be performed.",
    )
}

/// The kind as messages begin with it.
pub(crate) fn noun(word: ObjectWord) -> String {
    let lower = word.as_str().to_lowercase();
    let mut chars = lower.chars();
    match chars.next() {
        Some(first) => format!("{}{}", first.to_uppercase(), chars.as_str()),
        None => lower,
    }
}

/// The visible objects of a kind in a schema or database.
pub(crate) async fn all_in(
    context: &StatementContext,
    view: &CatalogView,
    word: ObjectWord,
    scope: &Scope,
) -> Result<Vec<Found>, UserError> {
    let schemas: Vec<Arc<SchemaInfo>> = match expect_scope(context, view, scope).await?.target {
        Target::Database(database) => view.schemas_in(&database.name).cloned().collect(),
        Target::Schema(schema) => vec![schema],
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    match object_kind(word)? {
        ObjectKind::Schema => {
            if matches!(scope, Scope::Schema(_)) {
                return Err(UserError::syntax("ALL SCHEMAS are in a database, not in a schema."));
            }
            all.extend(schemas.into_iter().map(|schema| of_schema(view, schema)));
        }
        ObjectKind::Table => {
            for schema in &schemas {
                let tables = view.tables_in(&schema.database, &schema.name);
                all.extend(
                    tables
                        .filter(|table| table.kind != TableKind::Temporary)
                        .map(|table| of_table(view, table.clone())),
                );
            }
        }
        ObjectKind::View => {
            for schema in &schemas {
                let views = view.views_in(&schema.database, &schema.name);
                all.extend(views.map(|found| of_view(view, found.clone())));
            }
        }
        ObjectKind::Stage => listed(context, view, &schemas, Target::Stage, &mut all).await?,
        ObjectKind::FileFormat => {
            listed(context, view, &schemas, Target::FileFormat, &mut all).await?;
        }
        ObjectKind::Sequence => {
            listed(context, view, &schemas, Target::Sequence, &mut all).await?;
        }
        ObjectKind::Model => listed(context, view, &schemas, Target::Model, &mut all).await?,
        ObjectKind::MaskingPolicy => {
            listed(context, view, &schemas, Target::MaskingPolicy, &mut all).await?;
        }
        ObjectKind::RowAccessPolicy => {
            listed(context, view, &schemas, Target::RowAccessPolicy, &mut all).await?;
        }
        ObjectKind::Tag => listed(context, view, &schemas, Target::Tag, &mut all).await?,
        other => {
            return Err(UserError::syntax(format!("a {other} is not in a database or schema.")));
        }
    }
    all.retain(|found| found.is_visible(context));
    Ok(all)
}

async fn listed<B: ObjectBody>(
    context: &StatementContext,
    view: &CatalogView,
    schemas: &[Arc<SchemaInfo>],
    target: fn(Object<B>) -> Target,
    all: &mut Vec<Found>,
) -> Result<(), UserError> {
    for schema in schemas {
        let filter = ObjectFilter { schema_id: Some(schema.schema_id), ..ObjectFilter::default() };
        let objects = context.shared.accounts.objects::<B>(filter).await?;
        all.extend(
            objects.into_iter().map(|object| of_schema_object(view, schema, object, target)),
        );
    }
    Ok(())
}

/// The database or schema a scope names.
pub(crate) async fn expect_scope(
    context: &StatementContext,
    view: &CatalogView,
    scope: &Scope,
) -> Result<Found, UserError> {
    match scope {
        Scope::Database(name) => {
            let name = ObjectName::bare(name.clone());
            expect(context, view, ObjectWord::Database, &name).await
        }
        Scope::Schema(name) => expect(context, view, ObjectWord::Schema, name).await,
    }
}

/// The answer of a statement that only describes, where the statement answers one status line.
pub(crate) fn described_status() -> Result<Outcome, UserError> {
    Outcome::table(&[("status", SqlType::TEXT)], Vec::new())
}
