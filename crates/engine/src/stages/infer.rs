//! The columns that files seem to have, for INFER_SCHEMA and MATCH_BY_COLUMN_NAME.

use std::collections::BTreeSet;

use frazil_common::{SqlType, TimeZoneKind, UserError};
use frazil_functions::variant::Value;

use crate::api::StageFile;
use crate::stages::file_format::{FileFormat, FormatType};
use crate::stages::json_reader::JsonReader;
use crate::stages::location::StageLocation;
use crate::stages::{bytes, csv_files, json_files, parquet_files};
use crate::statements::context::StatementContext;

/// Rows looked at in each text file.
const ROWS_INSPECTED: usize = 10_000;

/// A column as INFER_SCHEMA tells of it.
pub(crate) struct InferredColumn {
    pub name: String,
    /// SQL text.
    pub sql_type: String,
    pub nullable: bool,
    /// How a query over the files gets it.
    pub expression: String,
    /// Paths of the files that have it.
    pub files: Vec<String>,
}

/// Kinds of text values, narrowest first; two kinds meet in a wider one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number { whole: u8, scale: u8 },
    Real,
    Boolean,
    Date,
    Time,
    Timestamp,
    Text,
    Object,
    Array,
    Variant,
}

impl Kind {
    fn of_text(text: &str) -> Kind {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits.is_empty()
            && all_digits(whole)
            && all_digits(fraction)
            && whole.len() + fraction.len() > 0
            && whole.len() + fraction.len() <= 38
        {
            return Kind::Number { whole: whole.len().max(1) as u8, scale: fraction.len() as u8 };
        }
        if text.parse::<f64>().is_ok() && text.bytes().any(|byte| byte.is_ascii_digit()) {
            return Kind::Real;
        }
        if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
            return Kind::Boolean;
        }
        if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() {
            return Kind::Date;
        }
        if chrono::NaiveTime::parse_from_str(text, "%H:%M:%S%.f").is_ok() {
            return Kind::Time;
        }
        let stamp = |format| chrono::NaiveDateTime::parse_from_str(text, format).is_ok();
        if stamp("%Y-%m-%d %H:%M:%S%.f") || stamp("%Y-%m-%dT%H:%M:%S%.f") {
            return Kind::Timestamp;
        }
        Kind::Text
    }

    fn of_value(value: &Value) -> Option<Kind> {
        Some(match value {
            Value::Null => return None,
            Value::Boolean(_) => Kind::Boolean,
            Value::Number { value, scale } => {
                let digits = value.unsigned_abs().to_string().len() as u8;
                Kind::Number { whole: digits.saturating_sub(*scale).max(1), scale: *scale }
            }
            Value::Double(_) => Kind::Real,
            Value::Text(text) => match Kind::of_text(text) {
                known @ (Kind::Date | Kind::Time | Kind::Timestamp) => known,
                _ => Kind::Text,
            },
            Value::List(_) => Kind::Array,
            Value::Object(_) => Kind::Object,
            _ => Kind::Variant,
        })
    }

    fn meet(self, other: Kind) -> Kind {
        use Kind::*;
        match (self, other) {
            (a, b) if a == b => a,
            (Number { whole: w1, scale: s1 }, Number { whole: w2, scale: s2 }) => {
                let (whole, scale) = (w1.max(w2), s1.max(s2));
                if u32::from(whole) + u32::from(scale) <= 38 {
                    Number { whole, scale }
                } else {
                    Real
                }
            }
            (Number { .. } | Real, Number { .. } | Real) => Real,
            (Date | Timestamp, Date | Timestamp) => Timestamp,
            (Object | Array | Variant, _) | (_, Object | Array | Variant) => Variant,
            _ => Text,
        }
    }

    fn declared(self) -> String {
        match self {
            // More rows may hold more digits than those looked at.
            Kind::Number { scale, .. } => format!("NUMBER(38, {scale})"),
            Kind::Real => "REAL".to_string(),
            Kind::Boolean => "BOOLEAN".to_string(),
            Kind::Date => "DATE".to_string(),
            Kind::Time => "TIME".to_string(),
            Kind::Timestamp => "TIMESTAMP_NTZ".to_string(),
            Kind::Text => "TEXT".to_string(),
            Kind::Object => "OBJECT".to_string(),
            Kind::Array => "ARRAY".to_string(),
            Kind::Variant => "VARIANT".to_string(),
        }
    }
}

/// A column under inspection.
struct Seen {
    name: String,
    kind: Option<Kind>,
    nullable: bool,
    files: Vec<String>,
}

#[derive(Default)]
struct Columns(Vec<Seen>);

impl Columns {
    fn of(&mut self, name: &str, file: &str) -> &mut Seen {
        let index = match self.0.iter().position(|seen| seen.name == name) {
            Some(index) => index,
            None => {
                self.0.push(Seen {
                    name: name.to_string(),
                    kind: None,
                    nullable: false,
                    files: Vec::new(),
                });
                self.0.len() - 1
            }
        };
        let seen = &mut self.0[index];
        if seen.files.last().is_none_or(|last| last != file) {
            seen.files.push(file.to_string());
        }
        seen
    }
}

impl Seen {
    fn add(&mut self, kind: Option<Kind>) {
        match kind {
            None => self.nullable = true,
            Some(kind) => self.kind = Some(self.kind.map_or(kind, |held| held.meet(kind))),
        }
    }
}

/// The columns of files, in order of first appearance.
///
/// # Errors
/// A file that cannot be read in its format.
pub(crate) async fn columns(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
) -> Result<Vec<InferredColumn>, UserError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    match format.format {
        FormatType::Parquet => parquet(context, location, files).await,
        FormatType::Csv => csv(context, location, files, format).await,
        FormatType::Json => json(context, location, files, format).await,
    }
}

async fn csv(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
) -> Result<Vec<InferredColumn>, UserError> {
    let mut columns = Columns::default();
    let mut positions: Vec<String> = Vec::new();
    for file in files {
        let (header, rows) = csv_files::inspect(
            &context.shared.stages,
            location.stage_id,
            &file.path,
            format,
            ROWS_INSPECTED,
        )
        .await?;
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let names = header
            .unwrap_or_else(|| (1..=width).map(|index| format!("c{index}")).collect::<Vec<_>>());
        for (index, name) in names.iter().enumerate() {
            if !positions.contains(name) {
                positions.push(name.clone());
            }
            let seen = columns.of(name, &file.path);
            for row in &rows {
                let value = row.get(index).and_then(|value| value.as_deref());
                seen.add(value.map(Kind::of_text));
            }
        }
    }
    Ok(columns
        .0
        .into_iter()
        .map(|seen| {
            let sql_type = seen.kind.unwrap_or(Kind::Text).declared();
            let position = positions.iter().position(|name| *name == seen.name).unwrap_or(0) + 1;
            InferredColumn {
                expression: format!("${position}::{sql_type}"),
                name: seen.name,
                sql_type,
                nullable: true,
                files: seen.files,
            }
        })
        .collect())
}

async fn json(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
    format: &FileFormat,
) -> Result<Vec<InferredColumn>, UserError> {
    let mut columns = Columns::default();
    for file in files {
        for value in documents(context, location, file, format).await? {
            let Value::Object(fields) = value else { continue };
            for (name, value) in &fields {
                columns.of(name, &file.path).add(Kind::of_value(value));
            }
        }
    }
    Ok(columns
        .0
        .into_iter()
        .map(|seen| {
            let sql_type = seen.kind.unwrap_or(Kind::Variant).declared();
            InferredColumn {
                expression: format!("$1:{}::{sql_type}", path_text(&seen.name)),
                name: seen.name,
                sql_type,
                nullable: true,
                files: seen.files,
            }
        })
        .collect())
}

/// A name as a path takes it: quoted unless it is plain.
fn path_text(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

async fn documents(
    context: &StatementContext,
    location: &StageLocation,
    file: &StageFile,
    format: &FileFormat,
) -> Result<Vec<Value>, UserError> {
    let stages = &context.shared.stages;
    let input = bytes::open(stages, location.stage_id, &file.path, format.compression).await?;
    let format = format.clone();
    let path = file.path.clone();
    tokio::task::spawn_blocking(move || {
        let unreadable = |error: std::io::Error| csv_files::unreadable(&path, &error);
        let reader = input.reader().map_err(unreadable)?;
        let mut reader = JsonReader::new(reader, format.strip_outer_array);
        let mut found = Vec::new();
        while found.len() < ROWS_INSPECTED {
            let Some(document) = reader.next().map_err(unreadable)? else { break };
            found.extend(json_files::value_of(&format, document.text)?);
        }
        Ok(found)
    })
    .await
    .map_err(UserError::internal)?
}

async fn parquet(
    context: &StatementContext,
    location: &StageLocation,
    files: &[StageFile],
) -> Result<Vec<InferredColumn>, UserError> {
    let mut columns: Vec<InferredColumn> = Vec::new();
    // The union first: it finds columns whose types do not agree.
    let union = parquet_files::schema(context, location.stage_id, files).await?;
    let required: BTreeSet<String> = union
        .fields()
        .iter()
        .filter(|field| !field.is_nullable())
        .map(|field| field.name().clone())
        .collect();
    for column in parquet_files::columns_of(&union)? {
        let sql_type = declared(&column.sql_type);
        columns.push(InferredColumn {
            expression: format!("$1:{}::{sql_type}", path_text(&column.name)),
            nullable: !required.contains(&column.name),
            sql_type,
            name: column.name,
            files: Vec::new(),
        });
    }
    for file in files {
        let one = std::slice::from_ref(file);
        let schema = parquet_files::schema(context, location.stage_id, one).await?;
        for column in &mut columns {
            if schema.field_with_name(&column.name).is_ok() {
                column.files.push(file.path.clone());
            } else {
                column.nullable = true;
            }
        }
    }
    Ok(columns)
}

/// The type a table should declare for a Parquet column.
fn declared(sql_type: &SqlType) -> String {
    match sql_type {
        // Integers of files are given room to grow, as Snowflake does.
        SqlType::Number { scale: 0, .. } => "NUMBER(38, 0)".to_string(),
        SqlType::Number { precision, scale } => format!("NUMBER({precision}, {scale})"),
        SqlType::Varchar { .. } => "TEXT".to_string(),
        SqlType::Binary { .. } => "BINARY".to_string(),
        SqlType::Float => "REAL".to_string(),
        SqlType::Time { .. } => "TIME".to_string(),
        SqlType::Timestamp { zone: TimeZoneKind::Ntz, .. } => "TIMESTAMP_NTZ".to_string(),
        SqlType::Timestamp { zone: TimeZoneKind::Ltz, .. } => "TIMESTAMP_LTZ".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_widen() {
        let of = |texts: &[&str]| {
            let kinds = texts.iter().map(|text| Kind::of_text(text));
            kinds.reduce(Kind::meet).map(Kind::declared)
        };
        assert_eq!(of(&["1", "-22", "3.25"]).as_deref(), Some("NUMBER(38, 2)"));
        assert_eq!(of(&["1", "1e9"]).as_deref(), Some("REAL"));
        assert_eq!(of(&["2020-01-01", "2020-01-01 10:00:00"]).as_deref(), Some("TIMESTAMP_NTZ"));
        assert_eq!(of(&["true", "x"]).as_deref(), Some("TEXT"));
        assert_eq!(of(&["12:30:00"]).as_deref(), Some("TIME"));
    }
}
