//! ALTER DATABASE … RENAME TO and SWAP WITH. Grants, policies, stages and all else that is kept by ids stays
//! with the database; what names it by text is found under the new name alone.

use frazil_catalog::DatabaseInfo;
use frazil_common::{ObjectName, Privilege, QualifiedName, UserError, quote_identifier};
use frazil_dialect::ObjectWord;
use frazil_governance::Requirement;

use crate::statements::context::{StatementContext, Work};
use crate::statements::defaults::{draw_from, draws, sequence_of};
use crate::statements::lookup::{absent, find, single};
use crate::statements::reserved;

pub(crate) async fn rename(
    context: &StatementContext,
    work: &mut Work,
    database: &DatabaseInfo,
    to: &ObjectName,
) -> Result<(), UserError> {
    let to = single(to)?;
    context.authorize(&[Requirement::global(Privilege::CreateDatabase)])?;
    reserved::check_database(&to)?;
    let lake = work.lake()?;
    if lake.view().database(&to).is_some() {
        return Err(UserError::exists(quote_identifier(&to)));
    }
    if context.describe_only {
        return Ok(());
    }
    let names = [(database.name.clone(), to.clone())];
    move_sequences(work, moved(&names))?;
    let lake = work.lake()?;
    lake.rename_database(&database.name, &to)?;
    lake.account().renamed_databases.extend(names.clone());
    context.record.lock().renamed.extend(names);
    Ok(())
}

pub(crate) async fn swap(
    context: &StatementContext,
    work: &mut Work,
    database: &DatabaseInfo,
    other: &ObjectName,
) -> Result<(), UserError> {
    let view = work.lake()?.view().clone();
    let Some(found) = find(context, &view, ObjectWord::Database, other).await? else {
        return Err(absent(context, ObjectWord::Database, other));
    };
    found.require(context, &[Privilege::Ownership])?;
    let other = single(other)?;
    if context.describe_only || other == database.name {
        return Ok(());
    }
    let names = [(database.name.clone(), other.clone()), (other.clone(), database.name.clone())];
    move_sequences(work, moved(&names))?;
    let lake = work.lake()?;
    lake.swap_databases(&database.name, &other)?;
    lake.account().renamed_databases.extend(names.clone());
    context.record.lock().renamed.extend(names);
    Ok(())
}

/// The database's name after a change, and the schema's.
fn moved(names: &[(String, String)]) -> impl Fn(&str, &str) -> Option<(String, String)> {
    |database, schema| {
        let (_, to) = names.iter().find(|(from, _)| *from == database)?;
        Some((to.clone(), schema.to_string()))
    }
}

/// Columns whose default draws from a sequence keep their sequence. `moved` gives the new names of a database
/// and schema that have some.
pub(crate) fn move_sequences(
    work: &mut Work,
    moved: impl Fn(&str, &str) -> Option<(String, String)>,
) -> Result<(), UserError> {
    let lake = work.lake()?;
    let view = lake.view().clone();
    for table in view.tables() {
        for column in &table.columns {
            let Some(default) = &column.default else { continue };
            if column.foreign_default || !draws(default)? {
                continue;
            }
            let Some(sequence) = sequence_of(default)? else { continue };
            let Some((database, schema)) = moved(&sequence.database, &sequence.schema) else {
                continue;
            };
            let draw = draw_from(&QualifiedName::new(&database, &schema, &sequence.name));
            lake.alter_column(&table.name, &column.name, |column| column.default = Some(draw))?;
        }
    }
    Ok(())
}

/// Sessions stay in the database that they are in.
pub(crate) fn follow(context: &StatementContext) {
    let names = std::mem::take(&mut context.record.lock().renamed);
    if names.is_empty() {
        return;
    }
    for session in context.shared.sessions.read().values() {
        let mut state = session.state.lock();
        let now = state.database.as_ref().and_then(|database| {
            names.iter().find(|(from, _)| from == database).map(|(_, to)| to.clone())
        });
        if now.is_some() {
            state.database = now;
        }
    }
    context.shared.registry.invalidate();
}
