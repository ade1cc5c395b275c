//! Names of the account's objects by kind and id.

use std::collections::HashMap;

use frazil_catalog::TableKind;
use frazil_catalog::account::{
    Endpoint, FileFormat, GrantTarget, MaskingPolicy, Model, ObjectBody, ObjectFilter,
    ResourceMonitor, RowAccessPolicy, Sequence, Stage, Tag, Warehouse,
};
use frazil_common::{ObjectKind, QualifiedName, UserError};

use super::Source;
use crate::statements::database_role;
use crate::statements::outcome::Cell;

/// Where an object is, and the names of its columns by the ids that policies and tags use.
#[derive(Debug, Default, Clone)]
pub(super) struct Named {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub name: String,
    pub columns: Vec<(i64, String)>,
}

impl Named {
    /// Of a table or view, without its columns.
    pub fn of(name: &QualifiedName) -> Named {
        Named {
            database: Some(name.database.clone()),
            schema: Some(name.schema.clone()),
            name: name.name.clone(),
            columns: Vec::new(),
        }
    }

    /// Database, schema and name.
    pub fn cells(&self) -> [Cell; 3] {
        [
            Cell::from(self.database.clone()),
            Cell::from(self.schema.clone()),
            Cell::from(self.name.as_str()),
        ]
    }

    /// The name of one of its columns.
    pub fn column(&self, id: i64) -> Option<&str> {
        self.columns.iter().find(|(known, _)| *known == id).map(|(_, name)| name.as_str())
    }
}

/// Every object that policies, tags and grants may be on, and the tags and policies themselves.
pub(super) struct Names(HashMap<GrantTarget, Named>);

impl Names {
    pub async fn load(source: &Source<'_>) -> Result<Names, UserError> {
        let mut all = HashMap::new();
        let lasting =
            |table: &&std::sync::Arc<frazil_catalog::TableInfo>| table.kind != TableKind::Temporary;
        for table in source.view.tables().filter(lasting) {
            let columns = table.columns.iter();
            let named = Named {
                database: Some(table.name.database.clone()),
                schema: Some(table.name.schema.clone()),
                name: table.name.name.clone(),
                columns: columns.map(|column| (column.field_id, column.name.clone())).collect(),
            };
            all.insert((ObjectKind::Table, table.table_id), named);
        }
        for view in source.view.views() {
            let columns = (1..).zip(&view.columns);
            let named = Named {
                database: Some(view.name.database.clone()),
                schema: Some(view.name.schema.clone()),
                name: view.name.name.clone(),
                columns: columns.map(|(id, column)| (id, column.name.clone())).collect(),
            };
            all.insert((ObjectKind::View, view.view_id), named);
        }
        for schema in source.view.schemas() {
            let database = Some(schema.database.clone());
            let named = Named { database, name: schema.name.clone(), ..Named::default() };
            all.insert((ObjectKind::Schema, schema.schema_id), named);
        }
        for database in source.view.databases() {
            let named = Named { name: database.name.clone(), ..Named::default() };
            all.insert((ObjectKind::Database, database.database_id), named);
        }
        let account = source.context.shared.accounts.view().await?;
        for role in account.roles.values() {
            let short = database_role::short_name(role);
            let (kind, named) = match short {
                Some(name) => {
                    let database = database_role::database_of(role);
                    (ObjectKind::DatabaseRole, Named { database, name, ..Named::default() })
                }
                None => (ObjectKind::Role, Named { name: role.name.clone(), ..Named::default() }),
            };
            all.insert((kind, role.id), named);
        }
        for user in account.users.values() {
            let named = Named { name: user.name.clone(), ..Named::default() };
            all.insert((ObjectKind::User, user.id), named);
        }
        let named = Named { name: "ACCOUNT".to_string(), ..Named::default() };
        all.insert((ObjectKind::Account, 0), named);
        let mut names = Names(all);
        names.add::<Stage>(source).await?;
        names.add::<Sequence>(source).await?;
        names.add::<Model>(source).await?;
        names.add::<MaskingPolicy>(source).await?;
        names.add::<RowAccessPolicy>(source).await?;
        names.add::<Tag>(source).await?;
        names.add::<Warehouse>(source).await?;
        names.add::<FileFormat>(source).await?;
        names.add::<Endpoint>(source).await?;
        names.add::<ResourceMonitor>(source).await?;
        Ok(names)
    }

    async fn add<B: ObjectBody>(&mut self, source: &Source<'_>) -> Result<(), UserError> {
        let objects = source.context.shared.accounts.objects::<B>(ObjectFilter::default()).await?;
        for object in objects {
            let of = object.place.schema_id;
            let schema = source.view.schemas().find(|schema| schema.schema_id == of);
            if of != 0 && schema.is_none() {
                // What a dropped schema held.
                continue;
            }
            let named = Named {
                database: schema.map(|schema| schema.database.clone()),
                schema: schema.map(|schema| schema.name.clone()),
                name: object.name,
                columns: Vec::new(),
            };
            self.0.insert((B::KIND, object.id), named);
        }
        Ok(())
    }

    /// None: the object is not there, or was dropped.
    pub fn get(&self, object: GrantTarget) -> Option<&Named> {
        self.0.get(&object)
    }
}
