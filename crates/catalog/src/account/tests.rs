#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use frazil_common::{Code, ObjectKind, Privilege};

use super::*;
use crate::CatalogError;

async fn account() -> (Folder, AccountStore) {
    let folder = Folder::new();
    let catalog = Catalog::open(&folder.0.join("catalog.sqlite")).await.unwrap();
    let store = AccountStore::open(catalog).await.unwrap();
    (folder, store)
}

/// A folder that goes away with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("frazil-account-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn code(error: CatalogError) -> Code {
    match error {
        CatalogError::User(error) => error.code,
        other => panic!("{other}"),
    }
}

fn user(name: &str) -> NewUser {
    NewUser { name: name.to_string(), owner_role: "USERADMIN".to_string(), ..NewUser::default() }
}

fn in_schema<B>(name: &str, place: Place, body: B) -> NewObject<B> {
    NewObject {
        name: name.to_string(),
        place,
        owner_role: "SYSADMIN".to_string(),
        comment: None,
        body,
    }
}

macro_rules! write {
    ($store:expr, |$writer:ident| $body:expr) => {{
        let mut transaction = $store.begin().await.unwrap();
        let result = {
            let mut $writer = Writer::on(&mut transaction);
            $body
        };
        transaction.commit().await.unwrap();
        result
    }};
}

#[tokio::test]
async fn bootstrap_makes_snowflakes_hierarchy_once() {
    let (folder, store) = account().await;
    let view = store.view().await.unwrap();
    let roles: Vec<&str> = view.roles.keys().map(String::as_str).collect();
    assert_eq!(roles, ["ACCOUNTADMIN", "PUBLIC", "SECURITYADMIN", "SYSADMIN", "USERADMIN"]);
    let mut edges: Vec<(String, Grantee)> =
        view.role_grants.iter().map(|g| (g.role.clone(), g.grantee.clone())).collect();
    edges.sort();
    assert_eq!(
        edges,
        [
            ("SECURITYADMIN".to_string(), Grantee::Role("ACCOUNTADMIN".to_string())),
            ("SYSADMIN".to_string(), Grantee::Role("ACCOUNTADMIN".to_string())),
            ("USERADMIN".to_string(), Grantee::Role("SECURITYADMIN".to_string())),
        ]
    );
    let grants = view.grants_on(ObjectKind::Account, 0);
    assert!(
        grants.iter().any(|g| g.privilege == Privilege::ManageGrants && g.role == "SECURITYADMIN")
    );
    assert_eq!(view.owner(ObjectKind::Account, 0), Some("ACCOUNTADMIN"));

    drop(store);
    let again = Catalog::open(&folder.0.join("catalog.sqlite")).await.unwrap();
    let store = AccountStore::open(again).await.unwrap();
    assert_eq!(store.view().await.unwrap().version, view.version);
}

#[tokio::test]
async fn users_and_tokens() {
    let (_folder, store) = account().await;
    let made = write!(store, |w| w.create_user(user("ANN")).await.unwrap());
    let clash = write!(store, |w| w.create_user(user("ANN")).await.unwrap_err());
    assert_eq!(code(clash), Code::ObjectExists);
    assert_eq!(store.user_by_login("ann").await.unwrap().unwrap(), made);
    assert_eq!(store.user_by_login("bob").await.unwrap(), None);

    let mut changed = made.clone();
    changed.password_hash = Some("$argon2id$".to_string());
    changed.properties.default_role = Some("SYSADMIN".to_string());
    write!(store, |w| w.update_user(&changed).await.unwrap());
    assert_eq!(store.view().await.unwrap().users["ANN"], changed);

    let token = write!(store, |w| w
        .create_access_token(NewAccessToken {
            user_id: made.id,
            name: "CI".to_string(),
            secret_sha256: "ab".to_string(),
            role_restriction: Some("PUBLIC".to_string()),
            role_id: None,
            comment: None,
            created_by: "ANN".to_string(),
            expires_on: 100,
        })
        .await
        .unwrap());
    let found = store.access_token("ab").await.unwrap().unwrap();
    assert_eq!(found, token);
    assert!(found.is_valid(99) && !found.is_valid(100));
    assert_eq!(store.access_token("cd").await.unwrap(), None);

    write!(store, |w| w.drop_user(made.id).await.unwrap());
    assert_eq!(store.access_token("ab").await.unwrap(), None);
    assert!(store.view().await.unwrap().users.is_empty());
    assert_eq!(store.view().await.unwrap().owner(ObjectKind::User, made.id), None);
}

#[tokio::test]
async fn view_is_shared_until_security_changes() {
    let (_folder, store) = account().await;
    let before = store.view().await.unwrap();
    assert!(Arc::ptr_eq(&before, &store.view().await.unwrap()));
    // What is rolled back changes nothing.
    let mut transaction = store.begin().await.unwrap();
    Writer::on(&mut transaction).create_role("R", None, "USERADMIN").await.unwrap();
    drop(transaction);
    assert!(Arc::ptr_eq(&before, &store.view().await.unwrap()));
    write!(store, |w| w.create_role("R", None, "USERADMIN").await.unwrap());
    let after = store.view().await.unwrap();
    assert!(after.version > before.version && after.roles.contains_key("R"));
    assert!(!before.roles.contains_key("R"));
}

#[tokio::test]
async fn dropping_ends_grants_and_drops_pass_ownership() {
    let (_folder, store) = account().await;
    let role = write!(store, |w| {
        w.create_user(user("ANN")).await.unwrap();
        let role = w.create_role("R", Some("c"), "USERADMIN").await.unwrap();
        w.grant_role("R", &Grantee::User("ANN".to_string()), Some("USERADMIN")).await.unwrap();
        w.register_object(ObjectKind::Table, 7, "R", None).await.unwrap();
        w.grant_privilege((ObjectKind::Table, 7), Privilege::Select, "PUBLIC", false, Some("R"))
            .await
            .unwrap();
        w.grant_privilege((ObjectKind::Table, 8), Privilege::Insert, "R", false, None)
            .await
            .unwrap();
        role
    });
    let view = store.view().await.unwrap();
    assert_eq!(view.owner(ObjectKind::Table, 7), Some("R"));
    assert_eq!(view.grants_to("R").len(), 1);
    assert_eq!(view.grants_on(ObjectKind::Table, 7)[0].granted_by.as_deref(), Some("R"));

    let own = write!(store, |w| w.drop_role(role.id, "R").await.unwrap_err());
    assert_eq!(code(own), Code::InvalidArgument);
    write!(store, |w| w.drop_role(role.id, "SYSADMIN").await.unwrap());
    let view = store.view().await.unwrap();
    assert_eq!(view.owner(ObjectKind::Table, 7), Some("SYSADMIN"));
    assert!(view.grants_on(ObjectKind::Table, 8).is_empty());
    assert!(!view.role_grants.iter().any(|g| matches!(g.grantee, Grantee::User(_))));

    write!(store, |w| w.forget_object(ObjectKind::Table, 7).await.unwrap());
    let view = store.view().await.unwrap();
    assert_eq!(view.owner(ObjectKind::Table, 7), None);
    assert!(store.is_forgotten(ObjectKind::Table, 7).await.unwrap());
    // One that another program made never had an owner.
    write!(store, |w| w.forget_object(ObjectKind::Table, 9).await.unwrap());
    assert!(!store.is_forgotten(ObjectKind::Table, 9).await.unwrap());
    assert!(view.grants_on(ObjectKind::Table, 7).is_empty());
    let unknown = write!(store, |w| w
        .grant_privilege((ObjectKind::Table, 8), Privilege::Select, "NOBODY", false, None)
        .await
        .unwrap_err());
    assert_eq!(code(unknown), Code::ObjectNotFound);
}

#[tokio::test]
async fn future_grants_of_the_schema_hide_those_of_the_database() {
    let (_folder, store) = account().await;
    write!(store, |w| {
        let (table, database) = (ObjectKind::Table, (ObjectKind::Database, 1));
        w.grant_future(database, table, Privilege::Select, "PUBLIC", false, None).await.unwrap();
        w.grant_future(database, table, Privilege::Ownership, "USERADMIN", false, None)
            .await
            .unwrap();
        w.grant_future((ObjectKind::Schema, 3), table, Privilege::Insert, "PUBLIC", true, None)
            .await
            .unwrap();
        w.register_object(table, 10, "SYSADMIN", Some((1, Some(2)))).await.unwrap();
        w.register_object(table, 11, "SYSADMIN", Some((1, Some(3)))).await.unwrap();
        w.register_object(ObjectKind::View, 12, "SYSADMIN", Some((1, Some(2)))).await.unwrap();
    });
    let view = store.view().await.unwrap();
    let held = |kind, id| -> Vec<(Privilege, bool)> {
        view.grants_on(kind, id).iter().map(|g| (g.privilege, g.grant_option)).collect()
    };
    assert_eq!(held(ObjectKind::Table, 10), [(Privilege::Select, false)]);
    assert_eq!(view.owner(ObjectKind::Table, 10), Some("USERADMIN"));
    assert_eq!(held(ObjectKind::Table, 11), [(Privilege::Insert, true)]);
    assert_eq!(view.owner(ObjectKind::Table, 11), Some("SYSADMIN"));
    assert_eq!(held(ObjectKind::View, 12), []);
}

#[tokio::test]
async fn revoking_and_transferring() {
    let (_folder, store) = account().await;
    let object = (ObjectKind::Table, 5);
    write!(store, |w| {
        w.register_object(object.0, object.1, "SYSADMIN", None).await.unwrap();
        w.grant_privilege(object, Privilege::Select, "PUBLIC", true, None).await.unwrap();
        // A later grant without the option does not take it away.
        w.grant_privilege(object, Privilege::Select, "PUBLIC", false, None).await.unwrap();
    });
    assert!(store.view().await.unwrap().grants_on(object.0, object.1)[0].grant_option);
    write!(store, |w| assert!(
        w.revoke_privilege(object, Privilege::Select, "PUBLIC", None, true).await.unwrap()
    ));
    assert!(!store.view().await.unwrap().grants_on(object.0, object.1)[0].grant_option);
    // Another grantor's grant is one of its own.
    write!(store, |w| {
        let by = Some("SYSADMIN");
        w.grant_privilege(object, Privilege::Select, "PUBLIC", true, by).await.unwrap();
        assert!(
            !w.revoke_privilege(object, Privilege::Select, "PUBLIC", Some("USERADMIN"), false)
                .await
                .unwrap()
        );
    });
    assert_eq!(store.view().await.unwrap().grants_on(object.0, object.1).len(), 2);
    write!(store, |w| w.transfer_ownership(object.0, 5, "USERADMIN", true).await.unwrap());
    let grantors: Vec<Option<String>> = store
        .view()
        .await
        .unwrap()
        .grants_on(object.0, object.1)
        .iter()
        .map(|grant| grant.granted_by.clone())
        .collect();
    assert_eq!(grantors, [None, Some("USERADMIN".to_string())]);
    write!(store, |w| {
        assert!(
            w.revoke_privilege(object, Privilege::Select, "PUBLIC", Some("USERADMIN"), false)
                .await
                .unwrap()
        );
        w.transfer_ownership(object.0, 5, "SYSADMIN", true).await.unwrap();
    });
    write!(store, |w| w.copy_grants(object.0, 5, 6, true).await.unwrap());
    assert_eq!(store.view().await.unwrap().grants_on(object.0, 6).len(), 1);
    write!(store, |w| w.transfer_ownership(object.0, 5, "USERADMIN", false).await.unwrap());
    let view = store.view().await.unwrap();
    assert_eq!(view.owner(object.0, 5), Some("USERADMIN"));
    assert!(view.grants_on(object.0, 5).is_empty());
    write!(store, |w| assert!(
        !w.revoke_privilege(object, Privilege::Select, "PUBLIC", None, false).await.unwrap()
    ));
}

#[tokio::test]
async fn temporary_objects_shadow_and_names_are_unique_in_a_place() {
    let (_folder, store) = account().await;
    let place = Place::in_schema(1, 2);
    let (kept, temporary) = write!(store, |w| {
        let kept = w.create_object(in_schema("S", place, Stage::default())).await.unwrap();
        let temporary = w
            .create_object(in_schema("S", Place::temporary(1, 2, 9), Stage::default()))
            .await
            .unwrap();
        // Another kind may have the same name.
        w.create_object(in_schema("S", place, FileFormat::default())).await.unwrap();
        (kept, temporary)
    });
    let clash = write!(store, |w| w
        .create_object(in_schema("S", place, Stage::default()))
        .await
        .unwrap_err());
    assert_eq!(code(clash), Code::ObjectExists);
    let seen = |session| store.object::<Stage>(2, "S", session);
    assert_eq!(seen(0).await.unwrap().unwrap().id, kept.id);
    assert_eq!(seen(8).await.unwrap().unwrap().id, kept.id);
    assert_eq!(seen(9).await.unwrap().unwrap().id, temporary.id);
    assert_eq!(kept.owner.as_deref(), Some("SYSADMIN"));
    let filter = ObjectFilter { schema_id: Some(2), ..ObjectFilter::default() };
    assert_eq!(store.objects::<Stage>(filter).await.unwrap().len(), 1);
    assert_eq!(
        store.objects::<Stage>(ObjectFilter { session_id: Some(9), ..filter }).await.unwrap().len(),
        2
    );
    let gone = write!(store, |w| w.drop_objects_of_session(9).await.unwrap());
    assert_eq!(gone.iter().map(|o| o.id).collect::<Vec<_>>(), [temporary.id]);
    let gone = write!(store, |w| w.drop_objects_in_schema(2).await.unwrap());
    assert_eq!(gone.len(), 2);
    assert_eq!(seen(9).await.unwrap(), None);

    let new =
        write!(store, |w| w.create_object(in_schema("S", place, Stage::default())).await.unwrap());
    assert!(new.id > temporary.id, "ids are never used again");
}

#[tokio::test]
async fn sequences_never_give_a_value_twice() {
    let (_folder, store) = account().await;
    let body = Sequence { start: 10, increment: -2, ordered: true };
    let sequence = write!(store, |w| w
        .create_sequence(in_schema("Q", Place::in_schema(1, 2), body))
        .await
        .unwrap());
    assert_eq!(store.next_sequence_values(sequence.id, 3).await.unwrap(), 10);
    assert_eq!(store.next_sequence_values(sequence.id, 1).await.unwrap(), 4);
    assert_eq!(store.peek_sequence(sequence.id).await.unwrap(), 2);
    let spent = store.next_sequence_values(sequence.id, u64::MAX).await.unwrap_err();
    assert_eq!(code(spent), Code::NumericOutOfRange);
    assert_eq!(store.next_sequence_values(sequence.id, 1).await.unwrap(), 2);

    let body = Sequence { start: 1, increment: 1, ordered: true };
    let other = write!(store, |w| w
        .create_sequence(in_schema("P", Place::in_schema(1, 2), body))
        .await
        .unwrap());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.next_sequence_values(other.id, 5).await.unwrap() })
        })
        .collect();
    let mut firsts = Vec::new();
    for task in tasks {
        firsts.push(task.await.unwrap());
    }
    firsts.sort_unstable();
    assert_eq!(firsts, (0..8).map(|i| 1 + 5 * i).collect::<Vec<i64>>());
    write!(store, |w| assert!(w.drop_object(ObjectKind::Sequence, other.id).await.unwrap()));
    assert_eq!(
        code(store.next_sequence_values(other.id, 1).await.unwrap_err()),
        Code::ObjectNotFound
    );
}

#[tokio::test]
async fn sessions_survive_reopening() {
    let (folder, store) = account().await;
    let state = SessionState { database: Some("D".to_string()), ..SessionState::default() };
    let session = write!(store, |w| w
        .create_session(NewSession {
            user_id: 1,
            session_token_sha256: "s".to_string(),
            session_expires_on: 10,
            master_token_sha256: "m".to_string(),
            master_expires_on: 20,
            state,
        })
        .await
        .unwrap());
    let mut state = session.state.clone();
    state.parameters.insert("TIMEZONE".to_string(), "UTC".into());
    store.save_session_state(session.id, &state).await.unwrap();
    drop(store);
    let catalog = Catalog::open(&folder.0.join("catalog.sqlite")).await.unwrap();
    let store = AccountStore::open(catalog).await.unwrap();
    assert_eq!(store.session_by_token("s").await.unwrap().unwrap().state, state);
    assert_eq!(store.session_by_token("m").await.unwrap(), None);
    write!(store, |w| w.renew_session(session.id, ("s2", 30), ("m2", 40)).await.unwrap());
    assert_eq!(store.session_by_token("s").await.unwrap(), None);
    assert_eq!(store.session_by_master_token("m2").await.unwrap().unwrap().id, session.id);
    write!(store, |w| assert!(w.delete_expired_sessions(40).await.unwrap().is_empty()));
    write!(store, |w| assert_eq!(w.delete_expired_sessions(41).await.unwrap(), [session.id]));
    assert_eq!(store.sessions().await.unwrap(), []);
}

#[tokio::test]
async fn histories() {
    let (_folder, store) = account().await;
    let query = |n: i64, user: &str| QueryRecord {
        query_id: format!("q{n:04}"),
        query_text: format!("SELECT {n}"),
        user: user.to_string(),
        start_time: n,
        end_time: n + 1,
        state: if n % 2 == 0 { QueryState::Success } else { QueryState::Fail },
        snapshot_id: Some(n),
        ..QueryRecord::default()
    };
    let all: Vec<QueryRecord> =
        (0..1200).map(|n| query(n, if n < 600 { "A" } else { "B" })).collect();
    let access = AccessRecord {
        query_id: "q0001".to_string(),
        query_start_time: 1,
        user: "A".to_string(),
        objects: vec![AccessedObject {
            kind: ObjectKind::Table,
            id: 3,
            name: "D.S.T".to_string(),
            privilege: "SELECT".to_string(),
            columns: vec!["C".to_string()],
            direct: true,
            sources: vec![ColumnSources {
                column: "C".to_string(),
                sources: vec![ColumnSource { object: "D.S.U".into(), column: "B".into() }],
                direct: vec![ColumnSource { object: "D.S.V".into(), column: "B".into() }],
            }],
            protects: None,
            stage_kind: None,
            defined_by: None,
        }],
    };
    store.record_queries(&all, std::slice::from_ref(&access)).await.unwrap();
    store.record_queries(&all[..3], &[]).await.unwrap();
    assert_eq!(store.query_history(&QueryFilter::default()).await.unwrap().len(), 1200);
    let filter = QueryFilter {
        user: Some("A".to_string()),
        started_before: Some(500),
        limit: Some(2),
        ..QueryFilter::default()
    };
    assert_eq!(store.query_history(&filter).await.unwrap(), [all[499].clone(), all[498].clone()]);
    let after = Some((all[498].start_time, all[498].query_id.clone()));
    let filter = QueryFilter { after, ..filter };
    assert_eq!(store.query_history(&filter).await.unwrap(), [all[497].clone(), all[496].clone()]);
    assert_eq!(store.access_history(None, 10).await.unwrap(), std::slice::from_ref(&access));
    let after = Some((access.query_start_time, access.query_id.clone()));
    assert_eq!(store.access_history(after, 10).await.unwrap(), []);

    let login = LoginRecord {
        event_time: 5,
        user: "A".to_string(),
        factor: "PASSWORD".to_string(),
        error_code: Some(390100),
        ..LoginRecord::default()
    };
    write!(store, |w| w.insert_login(&login).await.unwrap());
    let logins = store.login_history(&LoginFilter::default()).await.unwrap();
    assert_eq!(logins, std::slice::from_ref(&login));
    for filter in [
        LoginFilter { limit: Some(10), offset: 1, ..LoginFilter::default() },
        LoginFilter { to: Some(4), ..LoginFilter::default() },
        LoginFilter { user: Some("B".to_string()), ..LoginFilter::default() },
    ] {
        assert_eq!(store.login_history(&filter).await.unwrap(), [], "{filter:?}");
    }
    write!(store, |w| w.prune_history(1000).await.unwrap());
    assert_eq!(store.query_history(&QueryFilter::default()).await.unwrap().len(), 200);
    assert_eq!(store.login_history(&LoginFilter::default()).await.unwrap(), []);
}

#[tokio::test]
async fn model_versions_aliases_and_their_history() {
    let (_folder, store) = account().await;
    let model = write!(store, |w| w
        .create_object(in_schema("M", Place::in_schema(1, 2), Model::default()))
        .await
        .unwrap());
    let version = |name: &str| NewModelVersion {
        model_id: model.id,
        name: name.to_string(),
        comment: None,
        file_sha256: format!("sha-{name}"),
        body: ModelVersionBody { rows: 5, seconds: 0.25, ..ModelVersionBody::default() },
    };
    let (first, second) = write!(store, |w| {
        let first = w.create_model_version(version("V1")).await.unwrap();
        let second = w.create_model_version(version("V2")).await.unwrap();
        w.set_model_alias(model.id, "BEST", Some(first.id)).await.unwrap();
        w.set_model_alias(model.id, "BEST", Some(second.id)).await.unwrap();
        w.record_model_change(&ModelChange {
            model_id: model.id,
            what: "ALIAS SET".to_string(),
            alias: Some("BEST".to_string()),
            from_version: Some("V1".to_string()),
            to_version: Some("V2".to_string()),
            user: "ANN".to_string(),
            role: "SYSADMIN".to_string(),
            changed_on: 0,
        })
        .await
        .unwrap();
        (first, second)
    });
    let clash = write!(store, |w| w.create_model_version(version("V1")).await.unwrap_err());
    assert_eq!(code(clash), Code::ObjectExists);
    let versions = store.model_versions(model.id).await.unwrap();
    assert_eq!(versions[0], first);
    assert_eq!(
        (versions[1].id, versions[1].aliases.clone()),
        (second.id, vec!["BEST".to_string()])
    );
    assert!(store.model_changes(model.id).await.unwrap()[0].changed_on > 0);
    write!(store, |w| assert!(w.drop_object(ObjectKind::Model, model.id).await.unwrap()));
    assert_eq!(store.model_versions(model.id).await.unwrap(), []);
    assert_eq!(store.model_changes(model.id).await.unwrap().len(), 1, "history outlives the model");
}

#[tokio::test]
async fn parameters_are_set_and_unset() {
    let (_folder, store) = account().await;
    let level = ParameterLevel::User(4);
    write!(store, |w| {
        w.set_parameter(level, "TIMEZONE", Some(&"UTC".into())).await.unwrap();
        w.set_parameter(ParameterLevel::Account, "TIMEZONE", Some(&"Europe/Paris".into()))
            .await
            .unwrap();
    });
    assert_eq!(store.parameters(level).await.unwrap()["TIMEZONE"], "UTC");
    write!(store, |w| w.set_parameter(level, "TIMEZONE", None).await.unwrap());
    assert!(store.parameters(level).await.unwrap().is_empty());
    assert_eq!(store.parameters(ParameterLevel::Account).await.unwrap().len(), 1);
}

/// The account's catalog, opened again after its tables were said to be of a version.
async fn of_version(folder: &Folder, store: AccountStore, version: i64) -> Catalog {
    let mut transaction = store.begin().await.unwrap();
    sqlx::query("UPDATE frazil_counter SET value = ? WHERE name = 'schema_version'")
        .bind(version)
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    drop(store);
    Catalog::open(&folder.0.join("catalog.sqlite")).await.unwrap()
}

#[tokio::test]
async fn a_newer_account_is_refused() {
    let (folder, store) = account().await;
    let catalog = of_version(&folder, store, 99).await;
    assert!(matches!(AccountStore::open(catalog).await, Err(CatalogError::Format(_))));
}

#[tokio::test]
async fn stages_that_went_by_a_users_name_go_by_its_id() {
    let (folder, store) = account().await;
    let at = |name: &str| in_schema(name, Place::default(), Stage::default());
    // The name of the second is what the first one's stage could be called by its id.
    let (ann, gone) = write!(store, |w| {
        let ann = w.create_user(user("ANN")).await.unwrap();
        let gone = w.create_user(user("GONE")).await.unwrap();
        (ann, gone)
    });
    let number = user(&format!("user {}", ann.id));
    let number = write!(store, |w| w.create_user(number).await.unwrap());
    let [of_ann, of_gone, of_number, of_table] = write!(store, |w| [
        w.create_object(at("~ANN")).await.unwrap().id,
        w.create_object(at("~GONE")).await.unwrap().id,
        w.create_object(at(&format!("~{}", number.name))).await.unwrap().id,
        w.create_object(at("%7")).await.unwrap().id,
    ]);
    write!(store, |w| assert_eq!(w.drop_user(gone.id).await.unwrap(), None));
    let catalog = of_version(&folder, store, 5).await;
    let store = AccountStore::open(catalog).await.unwrap();
    for (name, id) in [
        (user_stage_name(ann.id), of_ann),
        (user_stage_name(number.id), of_number),
        ("~GONE".to_string(), of_gone),
        ("%7".to_string(), of_table),
    ] {
        let found = store.object::<Stage>(0, &name, 0).await.unwrap().unwrap();
        assert_eq!((found.id, found.owner), (id, None), "{name}");
    }
    write!(store, |w| assert_eq!(w.drop_user(ann.id).await.unwrap(), Some(of_ann)));
    assert_eq!(store.object_by_id::<Stage>(of_ann).await.unwrap(), None);
}

#[tokio::test]
async fn tokens_that_went_by_a_roles_name_go_by_its_id() {
    let (folder, store) = account().await;
    let token = |user_id: i64, name: &str, role: &str| NewAccessToken {
        user_id,
        name: name.to_string(),
        secret_sha256: name.to_string(),
        role_restriction: Some(role.to_string()),
        role_id: None,
        comment: None,
        created_by: "ANN".to_string(),
        expires_on: 100,
    };
    let stays = write!(store, |w| {
        let ann = w.create_user(user("ANN")).await.unwrap();
        let stays = w.create_role("STAYS", None, "USERADMIN").await.unwrap();
        let gone = w.create_role("GONE", None, "USERADMIN").await.unwrap();
        w.create_access_token(token(ann.id, "A", "STAYS")).await.unwrap();
        w.create_access_token(token(ann.id, "B", "GONE")).await.unwrap();
        w.drop_role(gone.id, "USERADMIN").await.unwrap();
        w.drop_access_token(ann.id, "NONE").await.unwrap();
        stays
    });
    let mut transaction = store.begin().await.unwrap();
    sqlx::query("DELETE FROM frazil_token_role").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let catalog = of_version(&folder, store, 6).await;
    let store = AccountStore::open(catalog).await.unwrap();
    let held = async |name: &str| store.access_token(name).await.unwrap().unwrap();
    let first = held("A").await;
    assert_eq!((first.role_id, first.role_gone, first.is_valid(1)), (Some(stays.id), false, true));
    // A role that takes the name is another one.
    write!(store, |w| w.create_role("GONE", None, "USERADMIN").await.unwrap());
    let second = held("B").await;
    assert_eq!(second.role_restriction.as_deref(), Some("GONE"));
    assert!(second.role_gone && !second.is_valid(1));
    // A new name of the role is the token's.
    write!(store, |w| {
        w.update_role(&Role { name: "NEW".to_string(), ..stays.clone() }).await.unwrap();
    });
    assert_eq!(held("A").await.role_restriction.as_deref(), Some("NEW"));
}

#[tokio::test]
async fn each_grantors_promise_stands_for_itself() {
    let (folder, store) = account().await;
    let (table, schema) = (ObjectKind::Table, (ObjectKind::Schema, 3));
    write!(store, |w| {
        for by in ["SYSADMIN", "USERADMIN", "SYSADMIN"] {
            let by = Some(by);
            w.grant_future(schema, table, Privilege::Select, "PUBLIC", false, by).await.unwrap();
        }
    });
    // So it is where the table is made anew from one of an older version.
    let catalog = of_version(&folder, store, 6).await;
    let store = AccountStore::open(catalog).await.unwrap();
    write!(store, |w| w.register_object(table, 10, "SYSADMIN", Some((1, Some(3)))).await.unwrap());
    let view = store.view().await.unwrap();
    let grantors = |grants: &[Grant]| -> Vec<Option<String>> {
        grants.iter().map(|grant| grant.granted_by.clone()).collect()
    };
    let both = ["SYSADMIN", "USERADMIN"].map(|name| Some(name.to_string()));
    let mut given = grantors(view.grants_on(table, 10));
    given.sort();
    assert_eq!(given, both);
    assert_eq!(view.future_grants.len(), 2);
    write!(store, |w| {
        assert!(w.revoke_future(schema, table, Privilege::Select, "PUBLIC").await.unwrap());
    });
    assert!(store.view().await.unwrap().future_grants.is_empty());
}

#[tokio::test]
async fn who_holds_a_role_by_another_holds_it() {
    let (_folder, store) = account().await;
    let holds = |names: &'static [&'static str]| {
        let store = store.clone();
        async move {
            write!(store, |w| {
                let mut held = Vec::new();
                for name in names {
                    held.push(w.has_enabled_holder(name).await.unwrap());
                }
                held
            })
        }
    };
    let all = &["ACCOUNTADMIN", "SYSADMIN", "R"];
    assert_eq!(holds(all).await, [false; 3]);
    let mut ann = write!(store, |w| {
        w.create_role("R", None, "USERADMIN").await.unwrap();
        w.grant_role("ACCOUNTADMIN", &Grantee::Role("R".to_string()), None).await.unwrap();
        let ann = w.create_user(user("ANN")).await.unwrap();
        w.grant_role("R", &Grantee::User("ANN".to_string()), None).await.unwrap();
        ann
    });
    assert_eq!(holds(all).await, [true; 3]);
    ann.disabled = true;
    write!(store, |w| w.update_user(&ann).await.unwrap());
    assert_eq!(holds(all).await, [false; 3]);
}

#[tokio::test]
async fn tags_are_copied_and_forgotten_with_what_they_are_on() {
    let (_folder, store) = account().await;
    let reference =
        |on, column, value: &str| TagReference { tag: 5, on, column, value: value.into() };
    let (from, to) = ((ObjectKind::Table, 7), (ObjectKind::Table, 8));
    write!(store, |w| {
        for (column, value) in [(0, "table"), (1, "first"), (2, "second")] {
            w.set_tag(&reference(from, column, value)).await.unwrap();
        }
        w.set_tag(&reference(from, 1, "changed")).await.unwrap();
        w.copy_tags(from, to, &[1]).await.unwrap();
        w.unset_tag(5, from, 2).await.unwrap();
    });
    let view = store.view().await.unwrap();
    let values = |on: GrantTarget| -> Vec<String> {
        view.tags_on(on.0, on.1).iter().map(|tag| tag.value.clone()).collect()
    };
    assert_eq!(values(from), ["table", "changed"]);
    assert_eq!(values(to), ["table", "changed"]);
    write!(store, |w| w.forget_object(ObjectKind::Table, 7).await.unwrap());
    let view = store.view().await.unwrap();
    assert!(view.tags_on(ObjectKind::Table, 7).is_empty());
    assert_eq!(view.tags_on(ObjectKind::Table, 8).len(), 2);
}

#[tokio::test]
async fn what_ended_is_known_as_it_was_last() {
    let (_folder, store) = account().await;
    let (object, ann) = ((ObjectKind::Table, 5), Grantee::User("ANN".to_string()));
    let ids = write!(store, |w| {
        let made = w.create_user(user("ANN")).await.unwrap();
        let role = w.create_role("R", Some("words"), "USERADMIN").await.unwrap();
        w.grant_privilege(object, Privilege::Select, "R", true, Some("SYSADMIN")).await.unwrap();
        w.grant_privilege(object, Privilege::Insert, "R", false, None).await.unwrap();
        w.grant_role("R", &ann, Some("USERADMIN")).await.unwrap();
        let select = Privilege::Select;
        w.revoke_privilege(object, select, "R", Some("SYSADMIN"), true).await.unwrap();
        assert!(w.revoke_privilege(object, select, "R", Some("SYSADMIN"), false).await.unwrap());
        assert!(w.revoke_role("R", &ann).await.unwrap());
        w.grant_role("R", &ann, None).await.unwrap();
        w.drop_user(made.id).await.unwrap();
        w.drop_role(role.id, "USERADMIN").await.unwrap();
        (made.id, role.id)
    });
    let gone = store.ended_users().await.unwrap().remove(0);
    assert_eq!((gone.user.id, gone.user.name.as_str()), (ids.0, "ANN"));
    assert_eq!((gone.has_password, gone.user.password_hash), (false, None));
    let gone = store.ended_roles().await.unwrap().remove(0);
    assert_eq!((gone.role.id, gone.role.comment.as_deref()), (ids.1, Some("words")));
    assert_eq!(gone.owner.as_deref(), Some("USERADMIN"));
    let grants = store.ended_grants().await.unwrap();
    let facts = |grant: &EndedGrant| (grant.privilege, grant.granted_by.clone());
    assert_eq!(
        grants.iter().map(facts).collect::<Vec<_>>(),
        [(Privilege::Select, Some("SYSADMIN".to_string())), (Privilege::Insert, None)]
    );
    let roles = store.ended_role_grants().await.unwrap();
    assert_eq!(roles.len(), 2);
    assert!(roles.iter().all(|grant| grant.role == "R" && grant.grantee == ann));
    write!(store, |w| w.prune_history(now_micros() + 1).await.unwrap());
    assert_eq!(store.ended_users().await.unwrap(), []);
    assert_eq!(store.ended_grants().await.unwrap(), []);
}

#[tokio::test]
async fn warehouses_of_former_queries_are_found() {
    let (folder, store) = account().await;
    let query = |id: &str, warehouse_id| QueryRecord {
        query_id: id.to_string(),
        user: "ANN".to_string(),
        detail: Some(QueryDetail { warehouse_id, ..QueryDetail::default() }),
        database_id: Some(3),
        ..QueryRecord::default()
    };
    let all = [query("a", Some(7)), query("b", Some(8)), query("c", None)];
    store.record_queries(&all, &[]).await.unwrap();
    let sight = QuerySight { user: "BOB".to_string(), since: 0, warehouses: vec![7, 9] };
    let filter = QueryFilter { sight: Some(sight), ..QueryFilter::default() };
    assert_eq!(store.query_history(&filter).await.unwrap(), [all[0].clone()]);
    // As a version without the columns left it.
    let mut transaction = store.begin().await.unwrap();
    for statement in [
        "ALTER TABLE frazil_query_detail DROP COLUMN warehouse_id",
        "ALTER TABLE frazil_query_history DROP COLUMN database_id",
        "ALTER TABLE frazil_query_history DROP COLUMN client_generated",
    ] {
        sqlx::query(statement).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let catalog = of_version(&folder, store, 7).await;
    let store = AccountStore::open(catalog).await.unwrap();
    let found = store.query_history(&filter).await.unwrap();
    assert_eq!(found, [QueryRecord { database_id: None, ..all[0].clone() }]);
    assert_eq!(store.query_history(&QueryFilter::default()).await.unwrap().len(), 3);
}
