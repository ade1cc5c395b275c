//! The statements, one file per statement or tight family: its syntax tree, its parser, its tests.

mod access_token;
mod alter;
mod alter_object;
mod alter_table;
mod comment;
mod common;
mod copy;
mod create;
mod create_table;
mod create_view;
mod describe;
mod dml;
mod drop;
mod endpoint;
mod explain;
mod file_transfer;
mod grant;
mod merge;
mod model;
mod multi_insert;
mod namespace;
mod options;
mod policy;
mod principals;
mod procedure;
mod resource_monitor;
mod sequence;
mod session;
mod show;
mod stage;
mod tag;
mod transaction;
mod use_object;
mod warehouse;

use frazil_common::UserError;
use sqlparser::ast::Query;
use sqlparser::tokenizer::Token;

use crate::tokens::Tokens;

pub use access_token::{AccessTokenAction, AlterUserAccessToken};
pub use alter_object::{AlterObject, AlterObjectAction};
pub use alter_table::{AlterColumn, AlterColumnAction, AlterTable, AlterTableAction};
pub use comment::CommentOn;
pub use common::{CreateMode, ObjectWord, Persistence, TimeTravelPoint, TravelKind};
pub use copy::{
    CopyIntoLocation, CopyIntoTable, CopySource, TransformItem, TransformQuery, UnloadSource,
};
pub use create_table::{
    AutoIncrement, ColumnDefinition, ConstraintKind, CreateTable, CreateTableSource, ForeignKey,
    TableConstraint,
};
pub use create_view::{CreateView, ViewColumn};
pub use describe::{Describe, DescribeResult, DescribeTransaction};
pub use dml::{Assignment, Delete, Insert, InsertSource, InsertTarget, Update};
pub use drop::{Drop, Truncate, Undrop};
pub use endpoint::{AlterEndpoint, AlterEndpointAction, CreateEndpoint};
pub use explain::{Explain, ExplainFormat};
pub use file_transfer::{GetFiles, ListFiles, PutFiles, RemoveFiles};
pub use grant::{
    Grant, GrantOwnership, GrantRole, GrantTarget, GrantedRole, Grantee, GranteeKind,
    OwnershipTransfer, PrivilegeWord, Privileges, Revoke, RevokeRole, Scope,
};
pub use merge::{Merge, MergeAction, MergeClause, MergeClauseKind};
pub use model::{
    AlterModel, AlterModelAction, CreateModel, Evaluation, ImportModel, ModelSignatureColumn,
    Training,
};
pub use multi_insert::{BranchWhen, InsertBranch, MultiInsert};
pub use namespace::{CreateDatabase, CreateSchema, NamespaceClone};
pub use options::{OptionValue, Options};
pub use policy::{
    AlterPolicy, AlterPolicyAction, ColumnMask, CreatePolicy, PolicyArgument, PolicyBody,
    RowFilter, SetPolicy, SetPolicyAction,
};
pub use principals::{CreateDatabaseRole, CreateRole, CreateUser};
pub use procedure::{Call, ExecuteImmediate};
pub use resource_monitor::{
    AlterResourceMonitor, CreateResourceMonitor, MonitorAction, MonitorTrigger,
};
pub use sequence::CreateSequence;
pub use session::{AlterSession, SetVariables, UnsetVariables};
pub use show::{Show, ShowGrants, ShowObject, ShowScope};
pub use stage::{CreateFileFormat, CreateStage};
pub use tag::{AlterTag, AlterTagAction, CreateTag, SetTags, SetTagsAction, TagValue};
pub use transaction::Begin;
pub use use_object::{SecondaryRoles, Use};
pub use warehouse::{AlterWarehouse, AlterWarehouseAction, CreateWarehouse};

/// A parsed statement.
// Statements are few and short-lived; boxes would cost the reader more than the bytes.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum Statement {
    /// SELECT, WITH, VALUES, set operations, parenthesised queries.
    Query(Box<Query>),
    Explain(Explain),
    Insert(Insert),
    /// INSERT ALL, INSERT FIRST.
    MultiInsert(Box<MultiInsert>),
    Update(Update),
    Delete(Delete),
    Merge(Merge),
    Truncate(Truncate),
    CreateTable(Box<CreateTable>),
    CreateView(CreateView),
    CreateDatabase(CreateDatabase),
    CreateSchema(CreateSchema),
    CreateWarehouse(CreateWarehouse),
    CreateResourceMonitor(CreateResourceMonitor),
    CreateRole(CreateRole),
    CreateDatabaseRole(CreateDatabaseRole),
    CreateUser(CreateUser),
    CreateStage(CreateStage),
    CreateFileFormat(CreateFileFormat),
    CreateSequence(CreateSequence),
    /// CREATE MODEL … USING … AS query: training.
    CreateModel(Box<CreateModel>),
    /// CREATE MODEL … FROM @stage/file.
    ImportModel(ImportModel),
    CreateEndpoint(CreateEndpoint),
    AlterTable(AlterTable),
    /// CREATE MASKING POLICY and CREATE ROW ACCESS POLICY.
    CreatePolicy(Box<CreatePolicy>),
    AlterPolicy(Box<AlterPolicy>),
    /// ALTER TABLE and ALTER VIEW that put a policy on it or take it off.
    SetPolicy(SetPolicy),
    CreateTag(CreateTag),
    AlterTag(Box<AlterTag>),
    /// ALTER of any object that sets tags or takes them off.
    SetTags(SetTags),
    /// ALTER VIEW, SCHEMA, DATABASE, ROLE, DATABASE ROLE, USER, STAGE, FILE FORMAT, SEQUENCE: rename, set, unset.
    AlterObject(AlterObject),
    AlterWarehouse(AlterWarehouse),
    AlterResourceMonitor(AlterResourceMonitor),
    AlterUserAccessToken(AlterUserAccessToken),
    AlterSession(AlterSession),
    AlterModel(Box<AlterModel>),
    AlterEndpoint(AlterEndpoint),
    Drop(Drop),
    Undrop(Undrop),
    Use(Use),
    Grant(Grant),
    GrantRole(GrantRole),
    GrantOwnership(GrantOwnership),
    Revoke(Revoke),
    RevokeRole(RevokeRole),
    Begin(Begin),
    Commit,
    Rollback,
    Set(SetVariables),
    Unset(UnsetVariables),
    Show(Show),
    /// With its LIMIT.
    ShowGrants(ShowGrants, Option<u64>),
    Describe(Describe),
    DescribeResult(DescribeResult),
    DescribeTransaction(DescribeTransaction),
    Comment(CommentOn),
    Call(Call),
    ExecuteImmediate(ExecuteImmediate),
    Put(PutFiles),
    Get(GetFiles),
    List(ListFiles),
    Remove(RemoveFiles),
    CopyIntoTable(Box<CopyIntoTable>),
    CopyIntoLocation(Box<CopyIntoLocation>),
}

type Parse = fn(&mut Tokens<'_>) -> Result<Statement, UserError>;

/// Leading words and who parses what follows them; a longer phrase stands before its beginning.
const STATEMENTS: &[(&str, Parse)] = &[
    ("EXPLAIN", explain::parse),
    ("INSERT", dml::parse_insert),
    ("UPDATE", dml::parse_update),
    ("DELETE", dml::parse_delete),
    ("MERGE", merge::parse),
    ("TRUNCATE", drop::parse_truncate),
    ("CREATE", create::parse),
    ("ALTER", alter::parse),
    ("DROP", drop::parse),
    ("UNDROP", drop::parse_undrop),
    ("USE", use_object::parse),
    ("GRANT", grant::parse_grant),
    ("REVOKE", grant::parse_revoke),
    ("BEGIN", transaction::parse_begin),
    ("START TRANSACTION", transaction::parse_start),
    ("COMMIT", transaction::parse_commit),
    ("ROLLBACK", transaction::parse_rollback),
    ("SET", session::parse_set),
    ("UNSET", session::parse_unset),
    ("SHOW", show::parse),
    ("DESCRIBE", describe::parse),
    ("DESC", describe::parse),
    ("COMMENT", comment::parse),
    ("CALL", procedure::parse_call),
    ("EXECUTE IMMEDIATE", procedure::parse_execute_immediate),
    ("PUT", file_transfer::parse_put),
    ("GET", file_transfer::parse_get),
    ("LIST", file_transfer::parse_list),
    ("LS", file_transfer::parse_list),
    ("REMOVE", file_transfer::parse_remove),
    ("RM", file_transfer::parse_remove),
    ("COPY INTO", copy::parse),
];

/// Leading words of statements that Snowflake has and Frazil hasn't.
const REFUSED: &[(&str, &str)] = &[
    ("DECLARE", "Snowflake Scripting (DECLARE)"),
    ("LET", "Snowflake Scripting (LET)"),
    ("RETURN", "Snowflake Scripting (RETURN)"),
    ("EXECUTE TASK", "EXECUTE TASK"),
    ("EXECUTE ALERT", "EXECUTE ALERT"),
    ("EXECUTE USING", "EXECUTE USING POLICY_CONTEXT"),
    ("EXECUTE NOTEBOOK", "EXECUTE NOTEBOOK"),
    ("EXECUTE SERVICE", "EXECUTE JOB SERVICE"),
];

/// Reads one statement.
pub(crate) fn parse(tokens: &mut Tokens<'_>) -> Result<Statement, UserError> {
    for (words, parse) in STATEMENTS {
        if tokens.words(words) {
            return parse(tokens);
        }
    }
    for (words, what) in REFUSED {
        if tokens.peek_words(words) {
            return Err(tokens.unsupported(*what));
        }
    }
    let query = tokens.peek().token == Token::LParen
        || ["SELECT", "WITH", "VALUES"].iter().any(|word| tokens.peek_words(word));
    if !query {
        return Err(tokens.unexpected());
    }
    Ok(Statement::Query(tokens.query()?))
}
