//! The kind of a statement: the word QUERY_HISTORY shows and the number on the wire.

use crate::statement::{
    AlterTableAction, CreateMode, CreateTableSource, ObjectWord, Statement, Use,
};

macro_rules! kinds {
    ($($variant:ident = $text:literal / $id:literal),* $(,)?) => {
        /// What a statement is, in QUERY_HISTORY's words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum StatementKind { $($variant),* }
        impl StatementKind {
            pub const ALL: &'static [StatementKind] = &[$(StatementKind::$variant),*];
            /// The word in QUERY_HISTORY.QUERY_TYPE.
            pub fn as_str(self) -> &'static str { match self { $(StatementKind::$variant => $text),* } }
            /// The `statementTypeId` of the wire protocol.
            pub fn statement_type_id(self) -> u32 { match self { $(StatementKind::$variant => $id),* } }
        }
    };
}

kinds! {
    Select = "SELECT" / 0x1000,
    Explain = "EXPLAIN" / 0x2000,
    Insert = "INSERT" / 0x3100,
    Update = "UPDATE" / 0x3200,
    Delete = "DELETE" / 0x3300,
    Merge = "MERGE" / 0x3400,
    MultiTableInsert = "MULTI_TABLE_INSERT" / 0x3500,
    Copy = "COPY" / 0x3600,
    Unload = "UNLOAD" / 0x3700,
    AlterSession = "ALTER_SESSION" / 0x4100,
    Set = "SET" / 0x4100,
    Unset = "UNSET" / 0x4100,
    Use = "USE" / 0x4300,
    UseDatabase = "USE_DATABASE" / 0x4301,
    UseSchema = "USE_SCHEMA" / 0x4302,
    UseWarehouse = "USE_WAREHOUSE" / 0x4303,
    UseRole = "USE_ROLE" / 0x4304,
    UseSecondaryRoles = "USE_SECONDARY_ROLES" / 0x4305,
    Show = "SHOW" / 0x4400,
    Describe = "DESCRIBE" / 0x4500,
    List = "LIST_FILES" / 0x4701,
    Begin = "BEGIN_TRANSACTION" / 0x5000,
    Commit = "COMMIT" / 0x5100,
    Rollback = "ROLLBACK" / 0x5200,
    CreateTable = "CREATE_TABLE" / 0x6000,
    CreateTableAsSelect = "CREATE_TABLE_AS_SELECT" / 0x6000,
    CreateView = "CREATE_VIEW" / 0x6000,
    Create = "CREATE" / 0x6000,
    CreateUser = "CREATE_USER" / 0x6000,
    CreateRole = "CREATE_ROLE" / 0x6000,
    CreateSequence = "CREATE_SEQUENCE" / 0x6000,
    CreateModel = "CREATE_MODEL" / 0x6000,
    CreateEndpoint = "CREATE_ENDPOINT" / 0x6000,
    CreateMaskingPolicy = "CREATE_MASKING_POLICY" / 0x6000,
    CreateRowAccessPolicy = "CREATE_ROW_ACCESS_POLICY" / 0x6000,
    AlterTable = "ALTER_TABLE" / 0x6000,
    AlterTableAddColumn = "ALTER_TABLE_ADD_COLUMN" / 0x6000,
    AlterTableDropColumn = "ALTER_TABLE_DROP_COLUMN" / 0x6000,
    AlterTableModifyColumn = "ALTER_TABLE_MODIFY_COLUMN" / 0x6000,
    RenameColumn = "RENAME_COLUMN" / 0x6000,
    RenameTable = "RENAME_TABLE" / 0x6000,
    Alter = "ALTER" / 0x6000,
    AlterUser = "ALTER_USER" / 0x6000,
    AlterModel = "ALTER_MODEL" / 0x6000,
    AlterWarehouse = "ALTER_WAREHOUSE" / 0x6000,
    AlterEndpoint = "ALTER_ENDPOINT" / 0x6000,
    Drop = "DROP" / 0x6000,
    DropUser = "DROP_USER" / 0x6000,
    DropRole = "DROP_ROLE" / 0x6000,
    Undrop = "RESTORE" / 0x6000,
    Truncate = "TRUNCATE_TABLE" / 0x6000,
    Comment = "COMMENT" / 0x6000,
    Grant = "GRANT" / 0x6000,
    Revoke = "REVOKE" / 0x6000,
    Get = "GET_FILES" / 0x7101,
    Put = "PUT_FILES" / 0x7102,
    Remove = "REMOVE_FILES" / 0x7103,
    Call = "CALL" / 0x9000,
    ExecuteImmediate = "EXECUTE_IMMEDIATE" / 0x9000,
    MultiStatement = "MULTI_STATEMENT" / 0xA000,
}

impl Statement {
    /// What a CREATE does where the name is taken; none of other statements, and of those that train or
    /// import a model.
    pub fn create_mode(&self) -> Option<CreateMode> {
        use Statement::*;
        Some(match self {
            CreateTable(create) => create.mode,
            CreateView(create) => create.mode,
            CreateDatabase(create) => create.mode,
            CreateSchema(create) => create.mode,
            CreateWarehouse(create) => create.mode,
            CreateResourceMonitor(create) => create.mode,
            CreateRole(create) => create.mode,
            CreateDatabaseRole(create) => create.mode,
            CreateUser(create) => create.mode,
            CreateStage(create) => create.mode,
            CreateFileFormat(create) => create.mode,
            CreateSequence(create) => create.mode,
            CreateEndpoint(create) => create.mode,
            CreatePolicy(create) => create.mode,
            CreateTag(create) => create.mode,
            _ => return None,
        })
    }

    /// What this statement is, for history and the wire.
    pub fn kind(&self) -> StatementKind {
        use StatementKind as K;
        match self {
            Statement::Query(_) => K::Select,
            Statement::Explain(_) => K::Explain,
            Statement::Insert(_) => K::Insert,
            Statement::MultiInsert(_) => K::MultiTableInsert,
            Statement::Update(_) => K::Update,
            Statement::Delete(_) => K::Delete,
            Statement::Merge(_) => K::Merge,
            Statement::Truncate(_) => K::Truncate,
            Statement::CreateTable(create) => match create.source {
                CreateTableSource::AsSelect { .. } => K::CreateTableAsSelect,
                CreateTableSource::Columns { .. }
                | CreateTableSource::Like(_)
                | CreateTableSource::Clone { .. } => K::CreateTable,
            },
            Statement::CreateView(_) => K::CreateView,
            Statement::CreateDatabase(_)
            | Statement::CreateSchema(_)
            | Statement::CreateWarehouse(_)
            | Statement::CreateResourceMonitor(_)
            | Statement::CreateStage(_)
            | Statement::CreateFileFormat(_)
            | Statement::CreateTag(_) => K::Create,
            Statement::CreateRole(_) | Statement::CreateDatabaseRole(_) => K::CreateRole,
            Statement::CreateUser(_) => K::CreateUser,
            Statement::CreateSequence(_) => K::CreateSequence,
            Statement::CreateModel(_) | Statement::ImportModel(_) => K::CreateModel,
            Statement::CreatePolicy(create) => match create.kind {
                ObjectWord::RowAccessPolicy => K::CreateRowAccessPolicy,
                _ => K::CreateMaskingPolicy,
            },
            Statement::AlterPolicy(_)
            | Statement::AlterTag(_)
            | Statement::SetTags(_)
            | Statement::AlterResourceMonitor(_) => K::Alter,
            Statement::SetPolicy(_) => K::AlterTable,
            Statement::CreateEndpoint(_) => K::CreateEndpoint,
            Statement::AlterTable(alter) => match alter.action {
                AlterTableAction::AddColumns { .. } => K::AlterTableAddColumn,
                AlterTableAction::DropColumns { .. } => K::AlterTableDropColumn,
                AlterTableAction::AlterColumns(_) => K::AlterTableModifyColumn,
                AlterTableAction::RenameColumn { .. } => K::RenameColumn,
                AlterTableAction::RenameTo(_) => K::RenameTable,
                _ => K::AlterTable,
            },
            Statement::AlterObject(alter) => match alter.kind {
                ObjectWord::User => K::AlterUser,
                _ => K::Alter,
            },
            Statement::AlterWarehouse(_) => K::AlterWarehouse,
            Statement::AlterUserAccessToken(_) => K::AlterUser,
            Statement::AlterSession(_) => K::AlterSession,
            Statement::AlterModel(_) => K::AlterModel,
            Statement::AlterEndpoint(_) => K::AlterEndpoint,
            Statement::Drop(drop) => match drop.kind {
                ObjectWord::User => K::DropUser,
                ObjectWord::Role | ObjectWord::DatabaseRole => K::DropRole,
                _ => K::Drop,
            },
            Statement::Undrop(_) => K::Undrop,
            Statement::Use(target) => match target {
                Use::Database(_) => K::UseDatabase,
                Use::Schema(_) => K::UseSchema,
                Use::Name(_) => K::Use,
                Use::Warehouse(_) => K::UseWarehouse,
                Use::Role(_) => K::UseRole,
                Use::SecondaryRoles(_) => K::UseSecondaryRoles,
            },
            Statement::Grant(_) | Statement::GrantRole(_) | Statement::GrantOwnership(_) => {
                K::Grant
            }
            Statement::Revoke(_) | Statement::RevokeRole(_) => K::Revoke,
            Statement::Begin(_) => K::Begin,
            Statement::Commit => K::Commit,
            Statement::Rollback => K::Rollback,
            Statement::Set(_) => K::Set,
            Statement::Unset(_) => K::Unset,
            Statement::Show(_) | Statement::ShowGrants(..) => K::Show,
            Statement::Describe(_)
            | Statement::DescribeResult(_)
            | Statement::DescribeTransaction(_) => K::Describe,
            Statement::Comment(_) => K::Comment,
            Statement::Call(_) => K::Call,
            Statement::ExecuteImmediate(_) => K::ExecuteImmediate,
            Statement::Put(_) => K::Put,
            Statement::Get(_) => K::Get,
            Statement::List(_) => K::List,
            Statement::Remove(_) => K::Remove,
            Statement::CopyIntoTable(_) => K::Copy,
            Statement::CopyIntoLocation(_) => K::Unload,
        }
    }
}
