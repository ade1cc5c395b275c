//! What was dropped and is still known: as it was last, and when that was.

use std::collections::HashMap;
use std::sync::Arc;

use frazil_catalog::account::GrantTarget;
use frazil_catalog::{CatalogView, DatabaseInfo, Dropped, SchemaInfo, TableInfo, ViewInfo};
use frazil_common::{ObjectKind, QualifiedName, UserError};

use super::Source;
use super::names::Named;
use crate::statements::outcome::Cell;

/// An object of the account, there or dropped.
pub(super) struct Known<T> {
    pub object: Arc<T>,
    /// The account as it is, or was last with the object.
    pub view: Arc<CatalogView>,
    /// When it was dropped.
    pub dropped: Option<i64>,
}

impl<T> Known<T> {
    /// Of those that are there and those that are gone.
    fn all<'v>(
        view: &'v Arc<CatalogView>,
        living: impl Iterator<Item = &'v Arc<T>>,
        gone: Vec<Dropped<T>>,
    ) -> Vec<Known<T>>
    where
        T: 'v,
    {
        let living = living.map(|object| Known {
            object: Arc::clone(object),
            view: Arc::clone(view),
            dropped: None,
        });
        let gone = gone.into_iter().map(|gone| Known {
            object: gone.object,
            view: gone.view,
            dropped: Some(gone.dropped_micros),
        });
        living.chain(gone).collect()
    }

    /// DELETED.
    pub fn deleted(&self) -> Cell {
        self.dropped.map_or(Cell::Null, Cell::Instant)
    }

    /// The names and ids of a relation with which its rows begin.
    pub fn place(&self, id: i64, schema_id: i64, name: &QualifiedName) -> Vec<Cell> {
        vec![
            Cell::Number(id),
            Cell::from(name.name.as_str()),
            Cell::Number(schema_id),
            Cell::from(name.schema.as_str()),
            self.database_id(&name.database),
            Cell::from(name.database.as_str()),
        ]
    }

    /// The id of a database as it was called then.
    pub fn database_id(&self, name: &str) -> Cell {
        Cell::from(self.view.database(name).map(|database| database.database_id))
    }
}

impl Source<'_> {
    pub async fn known_databases(&self) -> Result<Vec<Known<DatabaseInfo>>, UserError> {
        let gone = self.context.shared.catalog.dropped_databases(0, |_| true).await?;
        Ok(Known::all(&self.view, self.view.databases(), gone))
    }

    pub async fn known_schemas(&self) -> Result<Vec<Known<SchemaInfo>>, UserError> {
        let gone = self.context.shared.catalog.dropped_schemas(0, |_| true).await?;
        Ok(Known::all(&self.view, self.view.schemas(), gone))
    }

    /// All but temporary ones.
    pub async fn known_tables(&self) -> Result<Vec<Known<TableInfo>>, UserError> {
        let gone = self.context.shared.catalog.dropped_tables(0, |_| true).await?;
        let lasting = |table: &&Arc<TableInfo>| table.kind != frazil_catalog::TableKind::Temporary;
        Ok(Known::all(&self.view, self.view.tables().filter(lasting), gone))
    }

    pub async fn known_views(&self) -> Result<Vec<Known<ViewInfo>>, UserError> {
        let gone = self.context.shared.catalog.dropped_views(0, |_| true).await?;
        Ok(Known::all(&self.view, self.view.views(), gone))
    }

    /// Names of databases, schemas, tables and views that are gone, with the times.
    pub async fn gone_names(&self) -> Result<HashMap<GrantTarget, (Named, i64)>, UserError> {
        let mut all = HashMap::new();
        for gone in self.known_databases().await? {
            let Some(at) = gone.dropped else { continue };
            let named = Named { name: gone.object.name.clone(), ..Named::default() };
            all.insert((ObjectKind::Database, gone.object.database_id), (named, at));
        }
        for gone in self.known_schemas().await? {
            let Some(at) = gone.dropped else { continue };
            let database = Some(gone.object.database.clone());
            let named = Named { database, name: gone.object.name.clone(), ..Named::default() };
            all.insert((ObjectKind::Schema, gone.object.schema_id), (named, at));
        }
        let relations = self.known_tables().await?.into_iter().map(|gone| {
            ((ObjectKind::Table, gone.object.table_id), gone.object.name.clone(), gone.dropped)
        });
        let views = self.known_views().await?.into_iter().map(|gone| {
            ((ObjectKind::View, gone.object.view_id), gone.object.name.clone(), gone.dropped)
        });
        for (target, name, dropped) in relations.chain(views) {
            let Some(at) = dropped else { continue };
            all.insert(target, (Named::of(&name), at));
        }
        Ok(all)
    }
}
