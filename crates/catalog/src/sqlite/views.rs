//! Writes views.

use super::commit::{NewSnapshot, conflict};
use super::tables::{check_name_free, check_schema_live, end_tags, quoted, set_tag};
use crate::error::{CatalogError, Result};
use crate::objects::ViewInfo;

pub async fn create(new: &mut NewSnapshot<'_>, view: &ViewInfo) -> Result<()> {
    let schema_id = new.id(view.schema_id);
    let schema_name = check_schema_live(new, schema_id).await?;
    check_name_free(new, schema_id, &view.name.name).await?;
    let id = new.new_id(view.view_id);
    insert_row(new, id, view).await?;
    set_tags(new, id, None, view).await?;
    new.changes_made.push(format!(
        "created_view:{}.{}",
        quoted(&schema_name),
        quoted(&view.name.name)
    ));
    Ok(())
}

/// Writes what changed of a view.
pub async fn alter(new: &mut NewSnapshot<'_>, before: &ViewInfo, after: &ViewInfo) -> Result<()> {
    let id = new.id(before.view_id);
    if before.name != after.name || before.text != after.text {
        end_row(new, id, before).await?;
        check_name_free(new, new.id(after.schema_id), &after.name.name).await?;
        insert_row(new, id, after).await?;
    }
    set_tags(new, id, Some(before), after).await?;
    new.changes_made.push(format!("altered_view:{id}"));
    Ok(())
}

async fn insert_row(new: &mut NewSnapshot<'_>, id: i64, view: &ViewInfo) -> Result<()> {
    let aliases: Vec<String> = view.columns.iter().map(|c| quoted(&c.name)).collect();
    // Another client's view stays as it was written.
    let (text, aliases) = match &view.foreign {
        None => (&view.text, aliases.join(",")),
        Some(foreign) => (&foreign.text, foreign.aliases.clone()),
    };
    let schema_id = new.id(view.schema_id);
    sqlx::query("INSERT INTO ducklake_view VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?)")
        .bind(id)
        .bind(&view.uuid)
        .bind(new.snapshot)
        .bind(schema_id)
        .bind(&view.name.name)
        .bind(&view.dialect)
        .bind(text)
        .bind(aliases)
        .execute(&mut **new.transaction().await?)
        .await?;
    Ok(())
}

async fn end_row(new: &mut NewSnapshot<'_>, id: i64, view: &ViewInfo) -> Result<()> {
    let remade = sqlx::query("DELETE FROM ducklake_view WHERE view_id = ? AND begin_snapshot = ?")
        .bind(id)
        .bind(new.snapshot)
        .execute(&mut **new.transaction().await?)
        .await?;
    let ended = sqlx::query(
        "UPDATE ducklake_view SET end_snapshot = ? WHERE view_id = ? AND end_snapshot IS NULL",
    )
    .bind(new.snapshot)
    .bind(id)
    .execute(&mut **new.transaction().await?)
    .await?;
    if ended.rows_affected() + remade.rows_affected() == 0 {
        return Err(conflict(view.name.to_string(), "the view was dropped"));
    }
    Ok(())
}

pub async fn end(new: &mut NewSnapshot<'_>, view: &ViewInfo) -> Result<()> {
    let id = new.id(view.view_id);
    end_row(new, id, view).await?;
    end_tags(new, id).await?;
    new.changes_made.push(format!("dropped_view:{id}"));
    Ok(())
}

async fn set_tags(
    new: &mut NewSnapshot<'_>,
    id: i64,
    before: Option<&ViewInfo>,
    after: &ViewInfo,
) -> Result<()> {
    fn columns(view: &ViewInfo) -> Result<String> {
        let pairs: Vec<_> = view
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| (c, view.column_comments.get(i).and_then(Option::as_ref)))
            .collect();
        serde_json::to_string(&pairs).map_err(|e| CatalogError::Damaged(e.to_string()))
    }
    let former = before.map(columns).transpose()?;
    let wanted = columns(after)?;
    set_tag(new, id, "frazil.columns", former.as_deref(), Some(&wanted)).await?;
    let secure = |view: &ViewInfo| view.secure.then_some("true");
    set_tag(new, id, "frazil.secure", before.and_then(secure), secure(after)).await?;
    set_tag(new, id, "comment", before.and_then(|v| v.comment.as_deref()), after.comment.as_deref())
        .await
}
