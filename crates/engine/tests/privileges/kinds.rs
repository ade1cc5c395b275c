//! The kinds and sub-kinds of statements, from the enums themselves. Matches are exhaustive, so
//! that a new variant does not compile until it is listed.

use frazil_dialect::{
    AccessTokenAction, AlterColumnAction, AlterEndpointAction, AlterModelAction, AlterObjectAction,
    AlterPolicyAction, AlterTableAction, AlterTagAction, AlterWarehouseAction, CopySource,
    CreateTableSource, GrantTarget, InsertSource, MergeAction, ObjectWord, SetPolicyAction,
    SetTagsAction, ShowGrants, ShowObject, Statement, UnloadSource, Use,
};

macro_rules! variants {
    ($function:ident, $list:ident, $type:ident: $($variant:ident),* $(,)?) => {
        const $list: &[&str] = &[$(concat!(stringify!($type), ".", stringify!($variant))),*];
        fn $function(value: &$type) -> String {
            match value {
                $($type::$variant { .. } => {
                    concat!(stringify!($type), ".", stringify!($variant)).to_string()
                })*
            }
        }
    };
}

variants!(statement, STATEMENTS, Statement:
    Query, Explain, Insert, MultiInsert, Update, Delete, Merge, Truncate, CreateTable, CreateView,
    CreateDatabase, CreateSchema, CreateWarehouse, CreateResourceMonitor, CreateRole, CreateDatabaseRole, CreateUser, CreateStage,
    CreateFileFormat, CreateSequence, CreateModel, ImportModel, CreateEndpoint, AlterTable,
    CreatePolicy, AlterPolicy, SetPolicy, CreateTag, AlterTag, SetTags,
    AlterObject, AlterWarehouse, AlterResourceMonitor, AlterUserAccessToken, AlterSession,
    AlterModel, AlterEndpoint,
    Drop, Undrop, Use, Grant, GrantRole, GrantOwnership, Revoke, RevokeRole, Begin, Commit,
    Rollback, Set, Unset, Show, ShowGrants, Describe, DescribeResult, DescribeTransaction, Comment, Call,
    ExecuteImmediate, Put, Get, List, Remove, CopyIntoTable, CopyIntoLocation,
);
variants!(insert_source, INSERT_SOURCES, InsertSource: Values, Query);
variants!(merge_action, MERGE_ACTIONS, MergeAction:
    Update, UpdateAllByName, Delete, Insert, InsertAllByName,
);
variants!(table_source, TABLE_SOURCES, CreateTableSource: Columns, AsSelect, Like, Clone);
variants!(alter_table, ALTER_TABLE, AlterTableAction:
    AddColumns, AddConstraint, DropColumns, DropConstraint, RenameColumn, RenameTo, SwapWith,
    AlterColumns, Set, Unset, ClusterBy, DropClusteringKey, SuspendRecluster, ResumeRecluster,
);
variants!(alter_policy, ALTER_POLICY, AlterPolicyAction: SetBody, RenameTo, Comment);
variants!(set_policy, SET_POLICY, SetPolicyAction:
    SetMasking, UnsetMasking, AddRowAccess, DropRowAccess, DropAllRowAccess,
);
variants!(alter_tag, ALTER_TAG, AlterTagAction:
    RenameTo, AddAllowedValues, DropAllowedValues, UnsetAllowedValues, Comment, SetMasking,
    UnsetMasking,
);
variants!(set_tags, SET_TAGS, SetTagsAction: Set, Unset);
variants!(alter_column, ALTER_COLUMN, AlterColumnAction:
    SetNotNull, DropNotNull, SetDataType, SetDefault, DropDefault, SetComment, UnsetComment,
);
variants!(alter_object, ALTER_OBJECT, AlterObjectAction:
    RenameTo, Set, Unset, SwapWith, Secure, Refresh, ResetPassword, AbortAllQueries,
    ManagedAccess,
);
variants!(alter_warehouse, ALTER_WAREHOUSE, AlterWarehouseAction:
    Suspend, Resume, AbortAllQueries, RenameTo, Set, Unset,
);
variants!(access_token, ACCESS_TOKEN, AccessTokenAction: Add, Set, RenameTo, Rotate, Remove);
variants!(alter_model, ALTER_MODEL, AlterModelAction:
    AddVersion, AddVersionFromFile, SetDefaultVersion, SetComment, UnsetComment, SetAlias,
    UnsetAlias, SetVersionComment, DropVersion, RenameTo,
);
variants!(alter_endpoint, ALTER_ENDPOINT, AlterEndpointAction:
    SetVersion, UnsetVersion, RenameTo, Suspend, Resume, Set, Unset,
);
variants!(use_object, USE, Use: Database, Schema, Name, Warehouse, Role, SecondaryRoles);
variants!(grant_target, GRANT_TARGETS, GrantTarget: Account, Object, AllIn, FutureIn);
variants!(show_grants, SHOW_GRANTS, ShowGrants:
    Mine, OnAccount, On, To, OfRole, OfDatabaseRole, FutureIn, FutureTo,
);
variants!(copy_source, COPY_SOURCES, CopySource: Location, TableStage, Transform);
variants!(unload_source, UNLOAD_SOURCES, UnloadSource: Table, Query);

/// Kinds of objects that ALTER OBJECT takes, from its parser's list.
const ALTERED: &[ObjectWord] = &[
    ObjectWord::Account,
    ObjectWord::View,
    ObjectWord::Schema,
    ObjectWord::Database,
    ObjectWord::Role,
    ObjectWord::DatabaseRole,
    ObjectWord::User,
    ObjectWord::Stage,
    ObjectWord::FileFormat,
    ObjectWord::Sequence,
];

/// Every kind there is.
pub fn all() -> Vec<String> {
    let mut all: Vec<String> = [
        STATEMENTS,
        INSERT_SOURCES,
        MERGE_ACTIONS,
        TABLE_SOURCES,
        ALTER_TABLE,
        ALTER_COLUMN,
        ALTER_POLICY,
        SET_POLICY,
        ALTER_TAG,
        SET_TAGS,
        ALTER_OBJECT,
        ALTER_WAREHOUSE,
        ACCESS_TOKEN,
        ALTER_MODEL,
        ALTER_ENDPOINT,
        USE,
        GRANT_TARGETS,
        SHOW_GRANTS,
        COPY_SOURCES,
        UNLOAD_SOURCES,
    ]
    .concat()
    .into_iter()
    .map(str::to_string)
    .collect();
    for word in ObjectWord::ALL {
        for family in ["Drop", "Describe", "Comment", "Undrop"] {
            all.push(format!("{family}.{word}"));
        }
    }
    all.extend(ALTERED.iter().map(|word| format!("AlterObject.{word}")));
    all.extend(ShowObject::ALL.iter().map(|object| format!("Show.{}", object.as_str())));
    all
}

/// What one statement is an example of.
pub fn of(parsed: &Statement) -> Vec<String> {
    let mut kinds = vec![statement(parsed)];
    match parsed {
        Statement::Insert(insert) => kinds.push(insert_source(&insert.source)),
        Statement::Merge(merge) => {
            kinds.extend(merge.clauses.iter().map(|clause| merge_action(&clause.action)));
        }
        Statement::CreateTable(create) => kinds.push(table_source(&create.source)),
        Statement::AlterTable(alter) => {
            kinds.push(alter_table(&alter.action));
            if let AlterTableAction::AlterColumns(columns) = &alter.action {
                kinds.extend(columns.iter().map(|column| alter_column(&column.action)));
            }
        }
        Statement::CreatePolicy(create) => kinds.push(format!("CreatePolicy.{}", create.kind)),
        Statement::AlterPolicy(alter) => kinds.push(alter_policy(&alter.action)),
        Statement::SetPolicy(set) => kinds.extend(set.actions.iter().map(set_policy)),
        Statement::AlterTag(alter) => kinds.push(alter_tag(&alter.action)),
        Statement::SetTags(set) => kinds.push(set_tags(&set.action)),
        Statement::AlterObject(alter) => {
            kinds.push(alter_object(&alter.action));
            kinds.push(format!("AlterObject.{}", alter.kind));
        }
        Statement::AlterWarehouse(alter) => kinds.push(alter_warehouse(&alter.action)),
        Statement::AlterUserAccessToken(alter) => kinds.push(access_token(&alter.action)),
        Statement::AlterModel(alter) => kinds.push(alter_model(&alter.action)),
        Statement::AlterEndpoint(alter) => kinds.push(alter_endpoint(&alter.action)),
        Statement::Use(target) => kinds.push(use_object(target)),
        Statement::Grant(grant) => {
            kinds.push(grant_target(&grant.on));
            if let GrantTarget::Object { kind, .. } = &grant.on {
                kinds.push(format!("Grant.{kind}"));
            }
        }
        Statement::ShowGrants(show, _) => kinds.push(show_grants(show)),
        Statement::CopyIntoTable(copy) => kinds.push(copy_source(&copy.source)),
        Statement::CopyIntoLocation(copy) => kinds.push(unload_source(&copy.source)),
        Statement::Drop(drop) => kinds.push(format!("Drop.{}", drop.kind)),
        Statement::Undrop(undrop) => kinds.push(format!("Undrop.{}", undrop.kind)),
        Statement::Describe(describe) => kinds.push(format!("Describe.{}", describe.kind)),
        Statement::Comment(comment) => kinds.push(format!("Comment.{}", comment.kind)),
        Statement::Show(show) => kinds.push(format!("Show.{}", show.object.as_str())),
        _ => {}
    }
    kinds
}
