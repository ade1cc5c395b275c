//! Finds a table's columns in a file by field id, and gives them the table's types.

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use frazil_catalog::ColumnInfo;
use parquet_variant_compute::{VariantArray, unshred_variant};

use crate::error::LakeError;
use crate::scan::KEPT_ROW_ID;
use crate::scan::foreign::ConvertedExpr;
use crate::scan::variants::ordered;
use crate::version::TableVersion;
use crate::write::schema::{ROW_ID_FIELD, reshape};
use crate::write::statistics::initial_value;

#[derive(Debug, Clone)]
struct FieldFacts {
    field_id: i64,
    /// None for what is no column of the table.
    column: Option<Arc<ColumnInfo>>,
    /// A VARIANT or its like that another client may have written.
    variant: bool,
}

/// Makes adapters for a table's files.
#[derive(Debug)]
pub struct FieldIdAdapterFactory {
    fields: Arc<HashMap<String, FieldFacts>>,
    /// The table's name as SQL text.
    table: Arc<str>,
}

impl FieldIdAdapterFactory {
    /// For the files of this version of a table.
    pub fn new(version: &TableVersion) -> Self {
        let table = &version.table;
        // What is written here is neither shredded nor out of order.
        let foreign = version.files.iter().any(|file| !file.is_own());
        let mut fields: HashMap<String, FieldFacts> = table
            .columns
            .iter()
            .map(|column| {
                let facts = FieldFacts {
                    field_id: column.field_id,
                    column: Some(Arc::new(column.clone())),
                    variant: foreign && column.sql_type.is_semi_structured(),
                };
                (column.name.clone(), facts)
            })
            .collect();
        fields.insert(
            KEPT_ROW_ID.to_string(),
            FieldFacts { field_id: ROW_ID_FIELD, column: None, variant: false },
        );
        FieldIdAdapterFactory { fields: Arc::new(fields), table: table.name.to_string().into() }
    }
}

impl PhysicalExprAdapterFactory for FieldIdAdapterFactory {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let ids: HashMap<i64, usize> = physical_file_schema
            .fields()
            .iter()
            .enumerate()
            .filter_map(|(index, field)| Some((field_id(field)?, index)))
            .collect();
        Ok(Arc::new(FieldIdAdapter {
            fields: Arc::clone(&self.fields),
            table: Arc::clone(&self.table),
            ids,
            logical: logical_file_schema,
            physical: physical_file_schema,
        }))
    }
}

fn field_id(field: &Field) -> Option<i64> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

#[derive(Debug)]
struct FieldIdAdapter {
    fields: Arc<HashMap<String, FieldFacts>>,
    table: Arc<str>,
    ids: HashMap<i64, usize>,
    logical: SchemaRef,
    physical: SchemaRef,
}

impl FieldIdAdapter {
    fn adapt(&self, column: &Column) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Ok(target) = self.logical.field_with_name(column.name()) else { return Ok(None) };
        let facts = self.fields.get(column.name());
        let found = match facts {
            // A file without any field ids is matched by name.
            Some(facts) if !self.ids.is_empty() => self.ids.get(&facts.field_id).copied(),
            Some(facts) if facts.field_id == ROW_ID_FIELD => None,
            _ => self.physical.index_of(column.name()).ok(),
        };
        let Some(index) = found else {
            let value = match facts.and_then(|facts| facts.column.as_ref()) {
                Some(column) => initial_value(column)?,
                None => ScalarValue::try_from(target.data_type())?,
            };
            return Ok(Some(Arc::new(Literal::new(value))));
        };
        let source = self.physical.field(index);
        let inner: Arc<dyn PhysicalExpr> = Arc::new(Column::new(source.name(), index));
        let column = facts.and_then(|facts| facts.column.as_ref());
        if let Some(column) = column.filter(|column| column.is_converted()) {
            return Ok(Some(Arc::new(ConvertedExpr {
                inner,
                target: Arc::new(target.clone()),
                column: Arc::clone(column),
                table: Arc::clone(&self.table),
            })));
        }
        let variant = facts.is_some_and(|facts| facts.variant);
        if source.data_type() == target.data_type() && !variant {
            return Ok(Some(inner));
        }
        if target.data_type().is_nested() {
            return Ok(Some(Arc::new(ReshapeExpr {
                inner,
                target: Arc::new(target.clone()),
                variant,
            })));
        }
        Ok(Some(Arc::new(CastExpr::new(inner, target.data_type().clone(), None))))
    }
}

impl PhysicalExprAdapter for FieldIdAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform_up(|node| {
            let Some(column) = node.downcast_ref::<Column>() else {
                return Ok(Transformed::no(node));
            };
            match self.adapt(column)? {
                Some(adapted) => Ok(Transformed::yes(adapted)),
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }
}

/// Gives a nested column of a file the table's nested type; puts shredded variants together.
#[derive(Debug, Clone)]
struct ReshapeExpr {
    inner: Arc<dyn PhysicalExpr>,
    target: FieldRef,
    variant: bool,
}

impl PartialEq for ReshapeExpr {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner) && self.target == other.target
    }
}

impl Eq for ReshapeExpr {}

impl Hash for ReshapeExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
        self.target.hash(state);
    }
}

impl fmt::Display for ReshapeExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

/// The encoding of a variant that is null.
const VARIANT_NULL: &[u8] = &[0];

fn convert(array: &ArrayRef, target: &DataType, variant: bool) -> Result<ArrayRef, LakeError> {
    if !variant {
        return reshape(array, target);
    }
    let array = &ordered(array)?;
    let source = array.as_struct();
    if source.column_by_name("typed_value").is_none() {
        return reshape(array, target);
    }
    let whole = unshred_variant(&VariantArray::try_new(array.as_ref())?)?;
    let inner: ArrayRef = Arc::new(StructArray::from(whole));
    let shaped = reshape(&inner, target)?;
    // Only other clients shred, and the one that does writes NULL as the variant null.
    let (fields, columns, nulls) = shaped.as_struct().clone().into_parts();
    let values = columns.get(1).and_then(|values| values.as_binary_view_opt());
    let Some(values) = values else { return Ok(shaped) };
    let present = (0..values.len())
        .map(|row| {
            nulls.as_ref().is_none_or(|n| n.is_valid(row)) && values.value(row) != VARIANT_NULL
        })
        .collect::<NullBuffer>();
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(present))?))
}

impl PhysicalExpr for ReshapeExpr {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(self.target.is_nullable())
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::clone(&self.target))
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = self.inner.evaluate(batch)?.into_array(batch.num_rows())?;
        let converted =
            convert(&array, self.target.data_type(), self.variant).map_err(|error| {
                let of_column = |what: String| {
                    LakeError::Damaged(format!("column {}: {what}", self.target.name()))
                };
                DataFusionError::from(match error {
                    LakeError::Damaged(what) => of_column(what),
                    LakeError::Arrow(error) if self.variant => of_column(error.to_string()),
                    other => other,
                })
            })?;
        Ok(ColumnarValue::Array(converted))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (children.pop(), children.is_empty()) {
            (Some(inner), true) => Ok(Arc::new(ReshapeExpr { inner, ..ReshapeExpr::clone(&self) })),
            _ => Err(DataFusionError::Internal("one child expected".into())),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}
