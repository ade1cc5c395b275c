//! Objects that come to be with a clone of their schema.

use frazil_common::ObjectKind;

use super::{FileFormat, NewObject, Object, ObjectBody, Place, Sequence, Writer, now_micros};
use crate::Result;

impl Writer<'_> {
    /// Gives an object the owner another of its kind has, if that has one.
    pub async fn copy_owner(&mut self, kind: ObjectKind, from: i64, to: i64) -> Result<()> {
        sqlx::query(
            "INSERT INTO frazil_owner (object_kind, object_id, role_id, created_on)
             SELECT object_kind, $3, role_id, $4 FROM frazil_owner
             WHERE object_kind = $1 AND object_id = $2
             ON CONFLICT (object_kind, object_id) DO UPDATE SET role_id = excluded.role_id",
        )
        .bind(kind.as_str())
        .bind(from)
        .bind(to)
        .bind(now_micros())
        .execute(&mut *self.connection)
        .await?;
        self.touch_security().await
    }

    /// Makes the permanent file formats and sequences of one schema in another, with the same
    /// owners and grants. A sequence goes on where the other one is.
    pub async fn copy_schema_objects(
        &mut self,
        from_schema: i64,
        to: Place,
        owner_role: &str,
        same_database: bool,
    ) -> Result<()> {
        for format in self.permanent::<FileFormat>(from_schema).await? {
            let (id, new) = copy_of(format, to, owner_role);
            let made = self.create_object(new).await?;
            self.copy_grants(FileFormat::KIND, id, made.id, same_database).await?;
            self.copy_owner(FileFormat::KIND, id, made.id).await?;
        }
        for sequence in self.permanent::<Sequence>(from_schema).await? {
            let (id, new) = copy_of(sequence, to, owner_role);
            let made = self.create_sequence(new).await?;
            sqlx::query(
                "UPDATE frazil_sequence_value SET next_value = (SELECT next_value
                 FROM frazil_sequence_value WHERE sequence_id = $1) WHERE sequence_id = $2",
            )
            .bind(id)
            .bind(made.id)
            .execute(&mut *self.connection)
            .await?;
            self.copy_grants(Sequence::KIND, id, made.id, same_database).await?;
            self.copy_owner(Sequence::KIND, id, made.id).await?;
        }
        Ok(())
    }
}

fn copy_of<B: ObjectBody>(
    object: Object<B>,
    place: Place,
    owner_role: &str,
) -> (i64, NewObject<B>) {
    let new = NewObject {
        name: object.name,
        place,
        owner_role: owner_role.to_string(),
        comment: object.comment,
        body: object.body,
    };
    (object.id, new)
}
