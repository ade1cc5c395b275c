//! Types of other clients' columns that are not stored here: those with a counterpart are converted where
//! they are read, the rest can be seen alone. Neither is ever written.

use arrow::array::ArrayRef;
use frazil_common::SqlType;

use crate::defaults::blob_bytes;
use crate::objects::{ChildColumn, ColumnInfo};
use crate::physical::inlined_type;
use crate::sqlite::inlined_values::{Value, decode};

/// Characters of a UUID.
const UUID_CHARACTERS: u32 = 36;

/// The SQL type that values of a DuckLake type are converted to; none where nothing is as good.
pub fn converted_type(physical: &str, children: &[ChildColumn]) -> Option<SqlType> {
    match physical {
        "uuid" => Some(SqlType::Varchar { length: UUID_CHARACTERS }),
        "int128" | "uint128" => Some(SqlType::Number { precision: 38, scale: 0 }),
        "timetz" => Some(SqlType::TEXT),
        "list" => is_converted_inside(physical, children).then_some(SqlType::Array),
        "struct" | "map" => is_converted_inside(physical, children).then_some(SqlType::Object),
        _ => None,
    }
}

/// Whether values of the type have a counterpart inside of an ARRAY or OBJECT.
fn is_converted_inside(physical: &str, children: &[ChildColumn]) -> bool {
    let all =
        || children.iter().all(|child| is_converted_inside(&child.physical_type, &child.children));
    match (physical, children) {
        ("list", [_]) => all(),
        ("struct", [_, ..]) => all(),
        // An OBJECT's keys are text.
        ("map", [key, _]) => key.physical_type == "varchar" && all(),
        (leaf, []) => {
            matches!(
                leaf,
                "boolean"
                    | "int8"
                    | "int16"
                    | "int32"
                    | "int64"
                    | "uint8"
                    | "uint16"
                    | "uint32"
                    | "uint64"
                    | "float32"
                    | "float64"
                    | "varchar"
                    | "uuid"
                    | "blob"
                    | "date"
                    | "time"
                    | "timestamp"
                    | "timestamp_s"
                    | "timestamp_ms"
                    | "timestamp_ns"
                    | "timestamptz"
            ) || leaf.starts_with("decimal(")
        }
        _ => false,
    }
}

/// DuckLake's words for a type with what is nested in it.
fn words(physical: &str, children: &[ChildColumn]) -> String {
    let inner = |child: &ChildColumn| words(&child.physical_type, &child.children);
    let all = |shape: &dyn Fn(&ChildColumn) -> String| {
        children.iter().map(shape).collect::<Vec<_>>().join(", ")
    };
    match (physical, children.is_empty()) {
        (_, true) => physical.to_string(),
        ("struct", _) => format!("struct({})", all(&|c| format!("{} {}", c.name, inner(c)))),
        _ => format!("{physical}({})", all(&inner)),
    }
}

impl ColumnInfo {
    /// The field ids of the column and of all that are nested in it.
    pub fn field_ids(&self) -> Vec<i64> {
        let nested = self.children.iter().flat_map(ChildColumn::field_ids);
        std::iter::once(self.field_id).chain(nested).collect()
    }

    /// Whether values of another client's type are converted where they are read.
    pub fn is_converted(&self) -> bool {
        match self.physical_type.as_str() {
            "uuid" | "int128" | "uint128" | "timetz" => self.readable,
            "list" | "struct" | "map" => self.readable && self.sql_type.is_semi_structured(),
            _ => false,
        }
    }

    /// Whether values of the column can be written.
    pub fn is_written(&self) -> bool {
        self.readable && !self.is_converted()
    }

    /// DuckLake's words for the column's type.
    pub fn foreign_type(&self) -> String {
        words(&self.physical_type, &self.children)
    }

    /// The column's type as it is told: DuckLake's words where there is no SQL type.
    pub fn shown_type(&self) -> String {
        match self.readable {
            true => self.sql_type.to_string(),
            false => self.foreign_type(),
        }
    }
}

/// DuckDB's texts of values as a column in the type's own Arrow type; none where one is no such value.
pub fn column_of_texts(texts: Vec<Option<String>>, physical: &str) -> Option<ArrayRef> {
    let value = |text: Option<String>| match text {
        None => Some(Value::Null),
        Some(text) if physical == "blob" => blob_bytes(&text).map(Value::Blob),
        Some(text) => Some(Value::Text(text)),
    };
    let values = texts.into_iter().map(value).collect::<Option<Vec<_>>>()?;
    decode(values, &inlined_type(physical, &[])?).ok()
}

/// Stored rows of columns as trees: (field id, name, type, initial default, parent) of each.
pub(crate) fn children_of(rows: &[StoredColumn<'_>], parent: i64) -> Vec<ChildColumn> {
    let own = rows.iter().filter(|row| row.parent == Some(parent));
    own.map(|row| ChildColumn {
        initial_default: row.initial_default.map(str::to_string),
        children: children_of(rows, row.field_id),
        ..ChildColumn::new(row.field_id, row.name, row.physical_type)
    })
    .collect()
}

/// What a row of a nested column tells.
pub(crate) struct StoredColumn<'a> {
    pub field_id: i64,
    pub name: &'a str,
    pub physical_type: &'a str,
    pub initial_default: Option<&'a str>,
    pub parent: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(name: &str, physical: &str, children: Vec<ChildColumn>) -> ChildColumn {
        ChildColumn { children, ..ChildColumn::new(1, name, physical) }
    }

    #[test]
    fn a_type_has_a_counterpart_where_all_that_is_nested_in_it_has_one() {
        let inner = |leaf: &str| child("element", "struct", vec![child("a", leaf, vec![])]);
        assert_eq!(converted_type("list", &[inner("decimal(9,2)")]), Some(SqlType::Array));
        assert_eq!(converted_type("list", &[inner("interval")]), None);
        let map = |key: &str| vec![child("key", key, vec![]), child("value", "int32", vec![])];
        assert_eq!(converted_type("map", &map("varchar")), Some(SqlType::Object));
        assert_eq!(converted_type("map", &map("date")), None);
        assert_eq!(converted_type("interval", &[]), None);
        let refused = ColumnInfo {
            readable: false,
            physical_type: "list".to_string(),
            children: vec![inner("interval")],
            ..ColumnInfo::new("C", SqlType::TEXT, true)
        };
        assert_eq!(refused.shown_type(), "list(struct(a interval))");
        assert!(!refused.is_written() && !refused.is_converted());
    }
}
