//! Temporary tables in a transaction. Statements of one session may run beside each other: each puts
//! its own changes on top of what the others have written back meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use frazil_catalog::{SchemaInfo, TableInfo};
use frazil_common::QualifiedName;

use super::loads::StagedLoads;
use super::{LakeTransaction, StagedRows};
use crate::error::{LakeError, Result};
use crate::temporary::SessionTables;

/// Both are the same object, or both are absent.
fn same<T>(left: Option<&Arc<T>>, right: Option<&Arc<T>>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => Arc::ptr_eq(left, right),
        (None, None) => true,
        _ => false,
    }
}

fn conflict(object: String) -> LakeError {
    let reason = "another statement of the session changed it".to_string();
    LakeError::Conflict { object, reason }
}

/// What a session has now, with the definitions on top that a transaction changed since `base`.
fn on_top(
    mut now: SessionTables,
    base: &SessionTables,
    own: SessionTables,
) -> Result<SessionTables> {
    let names: BTreeSet<_> = base.tables.keys().chain(own.tables.keys()).cloned().collect();
    for name in names {
        let (before, after) = (base.tables.get(&name), own.tables.get(&name));
        if same(before, after) {
            continue;
        }
        if !same(before, now.tables.get(&name)) {
            return Err(conflict(name.to_string()));
        }
        match after {
            Some(table) => now.tables.insert(name, Arc::clone(table)),
            None => now.tables.remove(&name),
        };
    }
    let ids: BTreeSet<i64> = base.rows.keys().chain(own.rows.keys()).copied().collect();
    for id in ids {
        let (before, after) = (base.rows.get(&id), own.rows.get(&id));
        if same(before, after) {
            continue;
        }
        if !same(before, now.rows.get(&id)) {
            return Err(conflict(format!("temporary table {id}")));
        }
        match after {
            Some(rows) => now.rows.insert(id, Arc::clone(rows)),
            None => now.rows.remove(&id),
        };
    }
    Ok(now)
}

impl LakeTransaction {
    /// Temporary tables are in schemas by id: where a database was renamed, by whichever session, theirs is
    /// the name that the schema has now.
    pub(super) fn follow_schemas(&mut self) {
        let schemas: HashMap<i64, &Arc<SchemaInfo>> =
            self.permanent.schemas().map(|schema| (schema.schema_id, schema)).collect();
        let moved: Vec<(QualifiedName, QualifiedName)> = self
            .temporary
            .tables
            .values()
            .filter_map(|table| {
                let schema = schemas.get(&table.schema_id)?;
                let name = QualifiedName::new(&schema.database, &schema.name, &table.name.name);
                (name != table.name).then(|| (table.name.clone(), name))
            })
            .collect();
        // All at once: names may have been exchanged.
        let moved: Vec<_> = moved
            .into_iter()
            .filter_map(|(from, to)| Some((self.temporary.tables.remove(&from)?, to)))
            .collect();
        for (table, name) in moved {
            let table = TableInfo { name: name.clone(), ..TableInfo::clone(&table) };
            self.temporary.tables.insert(name, Arc::new(table));
        }
    }

    /// Takes in what other statements of the session did to its temporary tables, unless this
    /// transaction has changes of its own; says whether anything is new.
    pub(super) fn refresh_temporary(&mut self) -> bool {
        let temporaries = self.lake.temporaries();
        if self.temporary_changed
            || temporaries.version(self.session_id) == self.temporary_base.version
        {
            return false;
        }
        // Deletes were computed on the rows as they were.
        let touched = |id: &i64| self.temporary.rows.contains_key(id);
        if self.rows.keys().any(touched) || self.loads.keys().any(touched) {
            return false;
        }
        self.temporary = temporaries.get(self.session_id);
        self.temporary_base = self.temporary.clone();
        true
    }

    /// Makes of the session's tables what they are after this transaction; whoever calls this holds
    /// the session's turn until they are written back.
    ///
    /// Fails with a conflict where another statement changed what this one changed or read to
    /// change it. Rows that are only added never do.
    pub(super) fn apply_temporary(
        &mut self,
        rows: Vec<StagedRows>,
        loads: Vec<StagedLoads>,
    ) -> Result<()> {
        let now = self.lake.temporaries().get(self.session_id);
        let own = std::mem::take(&mut self.temporary);
        self.temporary_changed = true;
        let unchanged = |id: i64, now: &SessionTables| {
            same(self.temporary_base.rows.get(&id), now.rows.get(&id))
        };
        for staged in &rows {
            let id = staged.table.table_id;
            let only_adds = staged.deletes.is_empty() && staged.ended.is_empty();
            let there = own.rows.contains_key(&id)
                && (now.rows.contains_key(&id) || !self.temporary_base.rows.contains_key(&id));
            if !there || !(only_adds || unchanged(id, &now)) {
                return Err(conflict(staged.table.name.to_string()));
            }
        }
        for staged in &loads {
            if !unchanged(staged.table.table_id, &now) {
                return Err(conflict(staged.table.name.to_string()));
            }
        }
        self.temporary = on_top(now, &self.temporary_base, own)?;
        for staged in rows {
            self.apply_rows(staged);
        }
        for staged in loads {
            let entry = self.temporary.rows.entry(staged.table.table_id).or_default();
            let rows = Arc::make_mut(entry);
            if staged.forget.is_some() {
                rows.loads.clear();
            }
            rows.loads.extend(staged.files);
        }
        Ok(())
    }

    fn apply_rows(&mut self, staged: StagedRows) {
        let entry = self.temporary.rows.entry(staged.table.table_id).or_default();
        let rows = Arc::make_mut(entry);
        let discarded = &mut self.discarded;
        rows.files.retain(|file| {
            let gone = staged.ended.contains(&file.key);
            if gone {
                discarded.push(file.path.clone());
            }
            !gone
        });
        for mut file in staged.added {
            file.row_id_start = rows.next_row_id;
            rows.next_row_id += i64::try_from(file.rows).unwrap_or(0);
            rows.files.push(file);
        }
        for file in &mut rows.files {
            if let Some(positions) = staged.deletes.get(&file.key) {
                let own = Arc::new(positions.iter().copied().collect::<Vec<_>>());
                file.deleted = crate::union(&file.deleted, &own);
            }
        }
    }
}
