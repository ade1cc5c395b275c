//! STAGES, FILE_FORMATS, SEQUENCES, and the views that there is nothing of.

use std::sync::Arc;

use frazil_catalog::SchemaInfo;
use frazil_catalog::account::{FileFormat, Object, ObjectBody, ObjectFilter, Sequence, Stage};
use frazil_common::UserError;
use serde_json::Value;

use super::{INSTANT, NUMBER, Rows, Scope, TEXT, yes_no};
use crate::statements::lookup::{Target, of_schema_object};
use crate::statements::outcome::Cell;

/// The visible objects of a kind in the database, by schema and name.
pub(super) async fn objects<B: ObjectBody + Clone>(
    scope: &Scope<'_>,
    target: fn(Object<B>) -> Target,
) -> Result<Vec<(Arc<SchemaInfo>, Object<B>)>, UserError> {
    let mut all = Vec::new();
    for schema in scope.schemas() {
        let filter = ObjectFilter {
            schema_id: Some(schema.schema_id),
            session_id: Some(scope.context.session.id),
            ..ObjectFilter::default()
        };
        for object in scope.context.shared.accounts.objects::<B>(filter).await? {
            let found = of_schema_object(&scope.view, &schema, object.clone(), target);
            if found.is_visible(scope.context) {
                all.push((schema.clone(), object));
            }
        }
    }
    Ok(all)
}

pub(super) async fn stages(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "STAGES",
        &[
            ("STAGE_CATALOG", TEXT),
            ("STAGE_SCHEMA", TEXT),
            ("STAGE_NAME", TEXT),
            ("STAGE_URL", TEXT),
            ("STAGE_REGION", TEXT),
            ("STAGE_TYPE", TEXT),
            ("STAGE_OWNER", TEXT),
            ("COMMENT", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("ENDPOINT", TEXT),
            ("DIRECTORY_ENABLED", TEXT),
        ],
    );
    for (schema, stage) in objects::<Stage>(scope, Target::Stage).await? {
        let temporary = stage.place.session_id != 0;
        rows.push(vec![
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(stage.name.as_str()),
            Cell::Null,
            Cell::Null,
            Cell::from(if temporary { "Internal Temporary" } else { "Internal Named" }),
            Cell::from(stage.owner),
            Cell::from(stage.comment),
            Cell::Instant(stage.created_on),
            Cell::Instant(stage.altered_on),
            Cell::Null,
            Cell::from(if stage.body.directory { "Y" } else { "N" }),
        ]);
    }
    Ok(rows)
}

pub(super) async fn file_formats(scope: &Scope<'_>) -> Result<Rows, UserError> {
    /// Options with a column of their own, in the columns' order.
    const OPTIONS: [&str; 14] = [
        "RECORD_DELIMITER",
        "FIELD_DELIMITER",
        "SKIP_HEADER",
        "DATE_FORMAT",
        "TIME_FORMAT",
        "TIMESTAMP_FORMAT",
        "BINARY_FORMAT",
        "ESCAPE",
        "ESCAPE_UNENCLOSED_FIELD",
        "TRIM_SPACE",
        "FIELD_OPTIONALLY_ENCLOSED_BY",
        "NULL_IF",
        "COMPRESSION",
        "ERROR_ON_COLUMN_COUNT_MISMATCH",
    ];
    let mut columns = vec![
        ("FILE_FORMAT_CATALOG", TEXT),
        ("FILE_FORMAT_SCHEMA", TEXT),
        ("FILE_FORMAT_NAME", TEXT),
        ("FILE_FORMAT_OWNER", TEXT),
        ("FILE_FORMAT_TYPE", TEXT),
    ];
    columns.extend(
        OPTIONS.map(|option| (option, if option == "SKIP_HEADER" { NUMBER } else { TEXT })),
    );
    columns.extend([("CREATED", INSTANT), ("LAST_ALTERED", INSTANT), ("COMMENT", TEXT)]);
    let mut rows = Rows::new("FILE_FORMATS", &columns);
    for (schema, format) in objects::<FileFormat>(scope, Target::FileFormat).await? {
        let mut row = vec![
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(format.name.as_str()),
            Cell::from(format.owner.clone()),
            Cell::from(format.body.format_type.as_str()),
        ];
        row.extend(OPTIONS.map(|option| match format.body.options.get(option) {
            None | Some(Value::Null) => Cell::Null,
            Some(value) if option == "SKIP_HEADER" => Cell::from(value.as_i64()),
            Some(Value::String(text)) => Cell::from(text.as_str()),
            Some(value) => Cell::from(value.to_string()),
        }));
        row.extend([
            Cell::Instant(format.created_on),
            Cell::Instant(format.altered_on),
            Cell::from(format.comment),
        ]);
        rows.push(row);
    }
    Ok(rows)
}

pub(super) async fn sequences(scope: &Scope<'_>) -> Result<Rows, UserError> {
    let mut rows = Rows::new(
        "SEQUENCES",
        &[
            ("SEQUENCE_CATALOG", TEXT),
            ("SEQUENCE_SCHEMA", TEXT),
            ("SEQUENCE_NAME", TEXT),
            ("SEQUENCE_OWNER", TEXT),
            ("DATA_TYPE", TEXT),
            ("NUMERIC_PRECISION", NUMBER),
            ("NUMERIC_PRECISION_RADIX", NUMBER),
            ("NUMERIC_SCALE", NUMBER),
            ("START_VALUE", TEXT),
            ("MINIMUM_VALUE", TEXT),
            ("MAXIMUM_VALUE", TEXT),
            ("NEXT_VALUE", TEXT),
            ("INCREMENT", TEXT),
            ("CYCLE_OPTION", TEXT),
            ("CREATED", INSTANT),
            ("LAST_ALTERED", INSTANT),
            ("ORDERED", TEXT),
            ("COMMENT", TEXT),
        ],
    );
    for (schema, sequence) in objects::<Sequence>(scope, Target::Sequence).await? {
        let next = scope.context.shared.accounts.peek_sequence(sequence.id).await?;
        rows.push(vec![
            Cell::from(schema.database.as_str()),
            Cell::from(schema.name.as_str()),
            Cell::from(sequence.name.as_str()),
            Cell::from(sequence.owner),
            Cell::from("NUMBER"),
            Cell::Number(38),
            Cell::Number(10),
            Cell::Number(0),
            Cell::from(sequence.body.start.to_string()),
            Cell::from(i64::MIN.to_string()),
            Cell::from(i64::MAX.to_string()),
            Cell::from(next.to_string()),
            Cell::from(sequence.body.increment.to_string()),
            yes_no(false),
            Cell::Instant(sequence.created_on),
            Cell::Instant(sequence.altered_on),
            yes_no(sequence.body.ordered),
            Cell::from(sequence.comment),
        ]);
    }
    Ok(rows)
}

/// Functions of users; there are none.
pub(super) fn functions() -> Rows {
    Rows::empty(
        "FUNCTIONS",
        &[
            "FUNCTION_CATALOG",
            "FUNCTION_SCHEMA",
            "FUNCTION_NAME",
            "FUNCTION_OWNER",
            "ARGUMENT_SIGNATURE",
            "DATA_TYPE",
            "CHARACTER_MAXIMUM_LENGTH",
            "CHARACTER_OCTET_LENGTH",
            "NUMERIC_PRECISION",
            "NUMERIC_PRECISION_RADIX",
            "NUMERIC_SCALE",
            "FUNCTION_LANGUAGE",
            "FUNCTION_DEFINITION",
            "VOLATILITY",
            "IS_NULL_CALL",
            "IS_SECURE",
            "CREATED",
            "LAST_ALTERED",
            "COMMENT",
            "IS_EXTERNAL",
            "IS_MEMOIZABLE",
            "RUNTIME_VERSION",
            "PACKAGES",
            "HANDLER",
            "IS_AGGREGATE",
        ],
    )
}

pub(super) fn procedures() -> Rows {
    Rows::empty(
        "PROCEDURES",
        &[
            "PROCEDURE_CATALOG",
            "PROCEDURE_SCHEMA",
            "PROCEDURE_NAME",
            "PROCEDURE_OWNER",
            "ARGUMENT_SIGNATURE",
            "DATA_TYPE",
            "CHARACTER_MAXIMUM_LENGTH",
            "CHARACTER_OCTET_LENGTH",
            "NUMERIC_PRECISION",
            "NUMERIC_PRECISION_RADIX",
            "NUMERIC_SCALE",
            "PROCEDURE_LANGUAGE",
            "PROCEDURE_DEFINITION",
            "CREATED",
            "LAST_ALTERED",
            "COMMENT",
        ],
    )
}

pub(super) fn packages() -> Rows {
    Rows::empty("PACKAGES", &["PACKAGE_NAME", "VERSION", "LANGUAGE", "RUNTIME_VERSION"])
}
