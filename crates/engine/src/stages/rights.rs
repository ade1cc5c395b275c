//! Whether a session may still read or write a stage: files travel some time after the statement that
//! asked for them.

use frazil_catalog::account::{Stage, user_stage_name};
use frazil_common::{ObjectKind, ObjectRef, Privilege, QualifiedName, UserError};
use frazil_governance::SecondaryRoles;

use crate::engine::Engine;
use crate::resolve::objects::{parents_of, table_object};
use crate::session::Session;
use crate::stages::location::table_of_stage;

impl Engine {
    /// Whether a session of this process may read a stage, or write to it. Its user's own roles count, as
    /// the session may have taken another one since it asked.
    ///
    /// # Errors
    /// The account or the catalog cannot be read.
    pub async fn may_transfer(
        &self,
        session_id: i64,
        stage_id: i64,
        write: bool,
    ) -> Result<bool, UserError> {
        let session = self.shared.sessions.read().get(&session_id).cloned();
        let Some(session) = session else { return Ok(false) };
        let Some(stage) = self.shared.accounts.object_by_id::<Stage>(stage_id).await? else {
            return Ok(false);
        };
        let place = stage.place;
        if place.session_id != 0 {
            return Ok(place.session_id == session_id);
        }
        let view = self.shared.catalog.head_view().await?;
        let (object, name, privilege) = if place.schema_id != 0 {
            let Some(schema) = view.schemas().find(|found| found.schema_id == place.schema_id)
            else {
                return Ok(false);
            };
            let name = QualifiedName::new(&schema.database, &schema.name, &stage.name);
            let object =
                ObjectRef { kind: ObjectKind::Stage, id: stage_id, name: name.to_string() };
            (object, name, if write { Privilege::Write } else { Privilege::Read })
        } else {
            let Some(table_id) = table_of_stage(&stage.name) else {
                return Ok(stage.name == user_stage_name(session.user_id));
            };
            let Some(table) = view.table_by_id(table_id) else { return Ok(false) };
            (table_object(table), table.name.clone(), Privilege::Ownership)
        };
        self.holds(&session, &object, &parents_of(&view, &name), privilege).await
    }

    async fn holds(
        &self,
        session: &Session,
        object: &ObjectRef,
        parents: &[ObjectRef],
        privilege: Privilege,
    ) -> Result<bool, UserError> {
        let model = self.shared.access_model().await?;
        let role = session.current().role;
        let secondary = match &session.role_restriction {
            Some(_) => SecondaryRoles::None,
            None => SecondaryRoles::All,
        };
        let roles = model.session_roles(&session.user, &role, &secondary);
        Ok(model.has_privilege(&roles, object, parents, privilege))
    }
}
