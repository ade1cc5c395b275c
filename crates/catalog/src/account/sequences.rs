//! The values of sequences.

use frazil_common::{Code, ObjectKind, UserError};

use super::error::not_found;
use super::{AccountStore, NewObject, Object, Sequence, Writer};
use crate::{CatalogError, Result};

impl Writer<'_> {
    /// Makes a sequence and its counter.
    ///
    /// # Errors
    /// The name is taken; the increment is 0.
    pub async fn create_sequence(&mut self, new: NewObject<Sequence>) -> Result<Object<Sequence>> {
        if new.body.increment == 0 {
            return Err(CatalogError::User(UserError::new(
                Code::InvalidArgument,
                "Sequence increment can not be 0.",
            )));
        }
        let sequence = self.create_object(new).await?;
        sqlx::query("INSERT INTO frazil_sequence_value (sequence_id, next_value) VALUES ($1, $2)")
            .bind(sequence.id)
            .bind(sequence.body.start)
            .execute(&mut *self.connection)
            .await?;
        Ok(sequence)
    }
}

impl AccountStore {
    /// Takes `count` values of a sequence and gives the first; the others follow by its
    /// increment. Durable before it returns, whatever becomes of the statement: no value is given
    /// twice, and gaps are possible.
    ///
    /// # Errors
    /// The sequence is gone, or its values would leave the range of 64-bit integers.
    pub async fn next_sequence_values(&self, sequence_id: i64, count: u64) -> Result<i64> {
        let mut transaction = self.begin().await?;
        let first = Writer::on(&mut transaction).take_values(sequence_id, count).await?;
        transaction.commit().await?;
        Ok(first)
    }

    /// The value the sequence gives next.
    ///
    /// # Errors
    /// The sequence is gone.
    pub async fn peek_sequence(&self, sequence_id: i64) -> Result<i64> {
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT next_value FROM frazil_sequence_value WHERE sequence_id = $1")
                .bind(sequence_id)
                .fetch_optional(&mut *self.reader().await?)
                .await?;
        found
            .map(|(value,)| value)
            .ok_or_else(|| not_found(ObjectKind::Sequence, &sequence_id.to_string()))
    }
}

impl Writer<'_> {
    async fn take_values(&mut self, sequence_id: i64, count: u64) -> Result<i64> {
        let sequence = self
            .object_by_id::<Sequence>(sequence_id)
            .await?
            .ok_or_else(|| not_found(ObjectKind::Sequence, &sequence_id.to_string()))?;
        let (first,): (i64,) =
            sqlx::query_as("SELECT next_value FROM frazil_sequence_value WHERE sequence_id = $1")
                .bind(sequence_id)
                .fetch_one(&mut *self.connection)
                .await?;
        let next = i64::try_from(count)
            .ok()
            .and_then(|count| count.checked_mul(sequence.body.increment))
            .and_then(|distance| first.checked_add(distance))
            .ok_or_else(|| {
                CatalogError::User(UserError::new(
                    Code::NumericOutOfRange,
                    format!("Sequence {} has no more values.", sequence.name),
                ))
            })?;
        sqlx::query("UPDATE frazil_sequence_value SET next_value = $2 WHERE sequence_id = $1")
            .bind(sequence_id)
            .bind(next)
            .execute(&mut *self.connection)
            .await?;
        Ok(first)
    }
}
