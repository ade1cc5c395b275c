//! Who acts, on what, with which privilege.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::UserError;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($variant),* }
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),*];
            /// The words used in SQL.
            pub fn as_str(self) -> &'static str { match self { $($name::$variant => $text),* } }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
        impl FromStr for $name {
            type Err = UserError;
            fn from_str(text: &str) -> Result<Self, UserError> {
                $(if text.eq_ignore_ascii_case($text) { return Ok($name::$variant); })*
                Err(UserError::syntax(format!(concat!("unknown ", stringify!($name), " '{}'"), text)))
            }
        }
    };
}

words! {
    /// What a role may do to an object. Words as in Snowflake's GRANT.
    Privilege {
        Select = "SELECT", Insert = "INSERT", Update = "UPDATE", Delete = "DELETE",
        Truncate = "TRUNCATE", References = "REFERENCES", Usage = "USAGE", Read = "READ",
        Write = "WRITE", Monitor = "MONITOR", Modify = "MODIFY", Operate = "OPERATE",
        Ownership = "OWNERSHIP", CreateDatabase = "CREATE DATABASE",
        CreateWarehouse = "CREATE WAREHOUSE", CreateRole = "CREATE ROLE",
        CreateUser = "CREATE USER", CreateDatabaseRole = "CREATE DATABASE ROLE",
        CreateEndpoint = "CREATE ENDPOINT",
        CreateSchema = "CREATE SCHEMA", CreateTable = "CREATE TABLE", CreateView = "CREATE VIEW",
        CreateStage = "CREATE STAGE", CreateFileFormat = "CREATE FILE FORMAT",
        CreateSequence = "CREATE SEQUENCE", CreateModel = "CREATE MODEL",
        CreateMaskingPolicy = "CREATE MASKING POLICY",
        CreateRowAccessPolicy = "CREATE ROW ACCESS POLICY", CreateTag = "CREATE TAG",
        Apply = "APPLY", ApplyTag = "APPLY TAG",
        ApplyMaskingPolicy = "APPLY MASKING POLICY",
        ApplyRowAccessPolicy = "APPLY ROW ACCESS POLICY", ManageGrants = "MANAGE GRANTS",
        ImportedPrivileges = "IMPORTED PRIVILEGES",
    }
}

words! {
    /// Kinds of objects privileges are granted on.
    ObjectKind {
        Account = "ACCOUNT", Database = "DATABASE", Schema = "SCHEMA", Table = "TABLE",
        View = "VIEW", Stage = "STAGE", FileFormat = "FILE FORMAT", Sequence = "SEQUENCE",
        Model = "MODEL", Warehouse = "WAREHOUSE", Role = "ROLE", User = "USER",
        Endpoint = "ENDPOINT", DatabaseRole = "DATABASE ROLE",
        MaskingPolicy = "MASKING POLICY", RowAccessPolicy = "ROW ACCESS POLICY", Tag = "TAG",
        ResourceMonitor = "RESOURCE MONITOR",
    }
}

impl ObjectKind {
    /// The kinds that live in a schema.
    pub fn in_schema(self) -> bool {
        use ObjectKind::*;
        matches!(
            self,
            Table
                | View
                | Stage
                | FileFormat
                | Sequence
                | Model
                | MaskingPolicy
                | RowAccessPolicy
                | Tag
        )
    }

    /// Privileges that `GRANT ALL` gives on this kind, OWNERSHIP apart.
    pub fn privileges(self) -> &'static [Privilege] {
        use Privilege::*;
        match self {
            ObjectKind::Account => &[
                CreateDatabase,
                CreateWarehouse,
                CreateRole,
                CreateUser,
                CreateEndpoint,
                ManageGrants,
                ApplyMaskingPolicy,
                ApplyRowAccessPolicy,
                ApplyTag,
                Monitor,
            ],
            ObjectKind::Database => &[Usage, Monitor, Modify, CreateSchema, CreateDatabaseRole],
            ObjectKind::Schema => &[
                Usage,
                Monitor,
                Modify,
                CreateTable,
                CreateView,
                CreateStage,
                CreateFileFormat,
                CreateSequence,
                CreateModel,
                CreateMaskingPolicy,
                CreateRowAccessPolicy,
                CreateTag,
            ],
            ObjectKind::Table => &[Select, Insert, Update, Delete, Truncate, References],
            ObjectKind::View => &[Select, References],
            ObjectKind::Stage => &[Usage, Read, Write],
            ObjectKind::FileFormat
            | ObjectKind::Sequence
            | ObjectKind::Role
            | ObjectKind::DatabaseRole => &[Usage],
            ObjectKind::MaskingPolicy | ObjectKind::RowAccessPolicy | ObjectKind::Tag => &[Apply],
            ObjectKind::Model => &[Usage, Read],
            ObjectKind::Warehouse => &[Usage, Operate, Monitor, Modify],
            ObjectKind::ResourceMonitor => &[Monitor, Modify],
            ObjectKind::User => &[Monitor],
            ObjectKind::Endpoint => &[Usage, Monitor, Operate],
        }
    }
}

/// An object as the catalog knows it. Ids never change and are never used again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectRef {
    pub kind: ObjectKind,
    /// Unique within the kind. Account is always 0.
    pub id: i64,
    /// Full name as SQL text, for messages and history.
    pub name: String,
}

/// On whose behalf a statement runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Principal {
    pub user: String,
    /// The active primary role; owns what the session creates.
    pub role: String,
}

/// One use of an object by a statement: what governance checks and access history records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub object: ObjectRef,
    pub privilege: Privilege,
    /// Columns read or written, where the object has columns.
    pub columns: Vec<String>,
    /// The role whose rights count: the session's role, or the owner of the view read through.
    pub on_behalf_of: Option<String>,
}
