//! The one authorisation function over the privileges a statement requires.

use frazil_common::{Code, ObjectKind, ObjectRef, Privilege, UserError};

use crate::model::AccessModel;
use crate::names::last_part;
use crate::roles::EffectiveRoles;

/// How to speak of an object that the role may not even know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HiddenError {
    /// 002003, as queries and DML say it.
    #[default]
    DoesNotExist,
    /// 002043, as USE, DROP, ALTER and DESCRIBE say it.
    CannotBePerformed,
}

/// One thing a statement needs: any one of several privileges on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    pub object: ObjectRef,
    /// The database, then the schema, that contain the object.
    pub parents: Vec<ObjectRef>,
    /// One of these on the object suffices. Empty: any privilege on it does.
    pub any_of: Vec<Privilege>,
    /// One of these on the account suffices instead.
    pub or_global: Vec<Privilege>,
    pub hidden: HiddenError,
}

impl Requirement {
    /// A requirement of one privilege on an object.
    pub fn new(object: ObjectRef, parents: Vec<ObjectRef>, privilege: Privilege) -> Self {
        Requirement {
            object,
            parents,
            any_of: vec![privilege],
            or_global: Vec::new(),
            hidden: HiddenError::default(),
        }
    }

    /// A requirement of one privilege on the account.
    pub fn global(privilege: Privilege) -> Self {
        Self::new(account(), Vec::new(), privilege)
    }

    /// A requirement that any privilege on the object meets, as for SHOW and DESCRIBE.
    pub fn any(object: ObjectRef, parents: Vec<ObjectRef>) -> Self {
        Requirement {
            object,
            parents,
            any_of: Vec::new(),
            or_global: Vec::new(),
            hidden: HiddenError::CannotBePerformed,
        }
    }

    /// Lets another privilege on the object do as well.
    pub fn or(mut self, privilege: Privilege) -> Self {
        self.any_of.push(privilege);
        self
    }

    /// Lets a privilege on the account do as well.
    pub fn or_global(mut self, privilege: Privilege) -> Self {
        self.or_global.push(privilege);
        self
    }

    /// Chooses the error for a hidden object.
    pub fn hidden_as(mut self, hidden: HiddenError) -> Self {
        self.hidden = hidden;
        self
    }
}

fn account() -> ObjectRef {
    ObjectRef { kind: ObjectKind::Account, id: 0, name: "ACCOUNT".to_string() }
}

/// Checks every requirement, in order.
///
/// # Errors
/// 002003 or 002043 for an object the roles may not know of; 003001 for one they see but may
/// not use so.
pub fn authorize(
    model: &AccessModel,
    roles: &EffectiveRoles,
    requirements: &[Requirement],
) -> Result<(), UserError> {
    for requirement in requirements {
        check(model, roles, requirement)?;
    }
    Ok(())
}

fn check(
    model: &AccessModel,
    roles: &EffectiveRoles,
    requirement: &Requirement,
) -> Result<(), UserError> {
    let Requirement { object, parents, any_of, or_global, hidden } = requirement;
    let visible = model.is_visible(roles, object, parents);
    let met = or_global.iter().any(|privilege| model.has_global(roles, *privilege))
        || if any_of.is_empty() {
            visible
        } else {
            any_of.iter().any(|privilege| model.has_privilege(roles, object, parents, *privilege))
        };
    match (met, visible) {
        (true, _) => Ok(()),
        (false, true) => Err(insufficient(object)),
        (false, false) => Err(hidden_error(object, *hidden)),
    }
}

/// 003001 in Snowflake's words.
pub(crate) fn insufficient(object: &ObjectRef) -> UserError {
    let kind = object.kind.as_str().to_lowercase();
    UserError::new(
        Code::InsufficientPrivileges,
        format!(
            "SQL access control error:\nInsufficient privileges to operate on {kind} '{}'",
            last_part(&object.name)
        ),
    )
}

/// The words for an object that is absent or hidden; the two must not be told apart.
pub(crate) fn hidden_error(object: &ObjectRef, hidden: HiddenError) -> UserError {
    match hidden {
        HiddenError::CannotBePerformed => UserError::new(
            Code::ObjectNotFoundOrNotAuthorized,
            "Object does not exist, or operation cannot be performed.",
        ),
        HiddenError::DoesNotExist => UserError::not_found(noun(object.kind), &object.name),
    }
}

fn noun(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table | ObjectKind::View => "Object",
        ObjectKind::Account => "Account",
        ObjectKind::Database => "Database",
        ObjectKind::Schema => "Schema",
        ObjectKind::Stage => "Stage",
        ObjectKind::FileFormat => "File format",
        ObjectKind::Sequence => "Sequence",
        ObjectKind::Model => "Model",
        ObjectKind::Warehouse => "Warehouse",
        ObjectKind::Role => "Role",
        ObjectKind::User => "User",
        ObjectKind::Endpoint => "Endpoint",
        ObjectKind::DatabaseRole => "Database role",
        ObjectKind::MaskingPolicy => "Masking policy",
        ObjectKind::RowAccessPolicy => "Row access policy",
        ObjectKind::Tag => "Tag",
        ObjectKind::ResourceMonitor => "Resource monitor",
    }
}
