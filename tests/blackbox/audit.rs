//! Every RPC that changes something, or reveals a secret, is in the audit
//! trail: an RPC that is added without an audit row fails here.

use prost_reflect::MethodDescriptor;
use serde_json::{Value, json};
use yuantus_proto::{
    access::{Permission, access_of},
    v1::{self, api_key_service_client::ApiKeyServiceClient},
};
use yuantus_test_support::{Api, TestEnv, backup_id};

use crate::{
    authentication::login, customer::add, file::upload, quiet::assert_quiet, rpc, settle::settle,
    tidy::assert_tidy,
};

/// Whether an RPC only reads, or is called by who is nobody yet: logging in has
/// rules of its own.
fn reads(method: &MethodDescriptor) -> bool {
    let name = method.name();
    ["Get", "List", "Wait", "Watch"].iter().any(|verb| name.starts_with(verb))
        || access_of(&rpc::path(method)).expect("access").permission == Permission::Public
}

/// Whether an RPC is about the caller's own session, which takes one.
fn is_of_a_session(name: &str) -> bool {
    ["ChangePassword", "Logout", "RevokeSession", "SwitchOrg"].contains(&name)
}

/// A request of an RPC that changes something, once `world` is there. An RPC
/// that is not here has to be added.
fn change(name: &str, world: &World) -> Value {
    let org = json!({"tenant_id": "acme", "org_id": "hq"});
    let backup = json!({"tenant_id": "acme", "org_id": "hq", "backup_id": world.backup});
    match name {
        "CreateTenant" => json!({"id": "other"}),
        "UpdateTenant" => json!({"tenant_id": "acme", "name": "Acme & Sons"}),
        "CreateOrg" => json!({"tenant_id": "acme", "id": "branch"}),
        "CreateUser" => json!({"tenant_id": "acme", "username": "dan", "password": "secret"}),
        "UpdateUser" => json!({"tenant_id": "acme", "user_id": world.bob, "email": "b@acme"}),
        "ResetPassword" => json!({"tenant_id": "acme", "user_id": world.bob, "password": "x"}),
        "DeleteUser" => json!({"tenant_id": "acme", "user_id": world.carl}),
        "ChangePassword" => json!({"current_password": "secret", "password": "secret"}),
        "Logout" => json!({}),
        "SwitchOrg" => json!({"org_id": "hq"}),
        "RevokeSession" => json!({"session_id": world.session}),
        "RevokeUserSessions" => json!({"tenant_id": "acme", "user_id": world.bob}),
        "CreateApiKey" => json!({"tenant_id": "acme", "name": "ci"}),
        "RevokeApiKey" => json!({"tenant_id": "acme", "api_key_id": world.key}),
        "AddMember" => json!({"tenant_id": "acme", "org_id": "hq", "username": "carl"}),
        "UpdateMember" | "RemoveMember" => {
            json!({"tenant_id": "acme", "org_id": "hq", "user_id": world.bob})
        }
        "CreateBackup" | "ApplyMigrations" => org,
        "VerifyBackup" | "RestoreBackup" => backup,
        "CreateCustomer" => json!({"name": "Ann"}),
        "UpdateCustomer" => json!({"customer_id": world.customer, "name": "Bob"}),
        "UpdateOrg" => json!({"tenant_id": "acme", "org_id": "hq", "name": "Head quarters"}),
        "UpdatePolicy" => {
            json!({"tenant_id": "acme", "area": "payments", "policy": {"daily": 7}})
        }
        "TestAudit" => json!({}),
        "ExportTenant" => json!({"tenant_id": "acme"}),
        "RestoreTenant" => {
            json!({"format": "yuantus.tenant-export/1", "tenant": {"id": "acme"}})
        }
        "DeleteFile" => json!({"file_id": world.file}),
        "DeleteCustomer" => json!({"customer_id": world.customer}),
        "CancelOperation" => json!({"operation_id": world.pending}),
        "RetryOperation" => json!({"operation_id": world.cancelled}),
        "ExportAuditLogs" | "VerifyAudit" | "PruneAudit" => json!({"tenant_id": "acme"}),
        other => panic!("say here how to call {other}, which changes something"),
    }
}

/// What RPCs that change something are called upon.
struct World {
    /// A complete backup of acme/hq.
    backup: String,
    /// A customer of acme/hq.
    customer: String,
    /// A file of acme/hq.
    file: String,
    /// An operation that was cancelled.
    cancelled: String,
    /// An operation that is still to be done.
    pending: String,
    /// A user of acme.
    bob: i32,
    /// A key of acme.
    key: String,
    /// A session of bob's.
    session: String,
    /// Another.
    carl: i32,
}

impl World {
    /// A worker makes the backup and is gone at the end.
    async fn make(env: &TestEnv, api: &Api) -> Self {
        api.create_tenant("acme").await;
        let mut worker = env.worker("w", &[]);
        api.succeed(&api.create_org("acme", "hq").await).await;
        let customer = add(api, "acme", "Ann").await;
        let backup = api.create_backup("acme", "hq").await;
        api.succeed(&backup).await;
        // The backup that is restored does not know of it.
        let file = upload(api, "acme", "plan.pdf", b"a plan").await;
        let file = file["id"].as_str().expect("id").to_owned();
        worker.terminate().await;
        let cancelled = api.create_backup("acme", "hq").await;
        let request = v1::CancelOperationRequest { operation_id: cancelled.id.clone() };
        api.operations().cancel_operation(request).await.expect("cancel");
        let mut worker = env.worker("w", &[]);
        api.wait(&cancelled).await;
        worker.terminate().await;
        let pending = api.create_backup("acme", "hq").await.id;
        let backup = backup_id(&backup).to_owned();
        let (bob, carl) = (create_user(api, "bob").await, create_user(api, "carl").await);
        add_member(api, bob).await;
        let (tenant_id, name) = ("acme".into(), "old".into());
        let request = v1::CreateApiKeyRequest { tenant_id, name, ..Default::default() };
        let made = ApiKeyServiceClient::new(api.channel()).create_api_key(request).await;
        let key = made.expect("key").into_inner().api_key.expect("key").id;
        bob_logs_in(api).await;
        let sql = "SELECT id::text FROM sessions";
        let session = sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await;
        let session = session.expect("session");
        Self { backup, customer, file, cancelled: cancelled.id, pending, bob, carl, key, session }
    }
}

async fn create_user(api: &Api, username: &str) -> i32 {
    let (tenant_id, username) = ("acme".into(), username.into());
    let password = "secret".into();
    let request = v1::CreateUserRequest { tenant_id, username, password, ..Default::default() };
    api.users().create_user(request).await.expect("user").into_inner().id
}

async fn add_member(api: &Api, user_id: i32) {
    let (tenant_id, org_id) = ("acme".into(), "hq".into());
    let request = v1::AddMemberRequest { tenant_id, org_id, user_id, ..Default::default() };
    api.members().add_member(request).await.expect("member");
}

async fn bob_logs_in(api: &Api) -> String {
    login(api, "acme", "bob", "secret").await
}

async fn audited(env: &TestEnv) -> i64 {
    let sql = "SELECT count(*) FROM audit_logs";
    sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("audit")
}

#[tokio::test]
async fn every_rpc_that_changes_or_reveals_something_is_audited_once() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let http = reqwest::Client::new();
    let world = World::make(&env, &api).await;
    let mut methods: Vec<_> = rpc::methods().into_iter().filter(|m| !reads(m)).collect();
    // Bob's sessions end with his password, which does not stay what it is.
    let order = |name: &str| (!is_of_a_session(name), name == "ChangePassword");
    methods.sort_by_key(|method| order(method.name()));
    for method in methods {
        let (token, actor) = match is_of_a_session(method.name()) {
            true => (Some(bob_logs_in(&api).await), "acme/bob"),
            false => (None, "platform/anonymous"),
        };
        let before = audited(&env).await;
        let request = change(method.name(), &world);
        let answer = rpc::rest(&http, &api, &method, &request, token.as_deref());
        let answer = answer.header("x-tenant-id", "acme").header("x-org-id", "hq");
        let answer = answer.header("x-request-id", method.name()).send().await.expect("answer");
        let status = answer.status();
        let text = answer.text().await.expect("body");
        assert!(status.is_success(), "{} {request}: {text}", method.name());
        assert_eq!(audited(&env).await, before + 1, "audit rows of {}", method.name());
        let sql = "SELECT count(*) FROM audit_logs WHERE request_id = $1
            AND actor = $2 AND client_ip = '127.0.0.1' AND target <> ''";
        let found: i64 = sqlx::query_scalar(sql)
            .bind(method.name())
            .bind(actor)
            .fetch_one(&mut env.identity().await)
            .await
            .expect("audit");
        assert_eq!(found, 1, "what the audit row of {} says", method.name());
    }
    let org = json!({"tenant_id": "acme", "org_id": "hq"});
    let backup = json!({"tenant_id": "acme", "org_id": "hq", "backup_id": world.backup});
    for (name, request) in [("GetConnection", org), ("GetBackupKey", backup)] {
        let before = audited(&env).await;
        let method = rpc::methods().into_iter().find(|m| m.name() == name).expect(name);
        rpc::grpc(&api, &method, &request, None).await.expect(name);
        assert_eq!(audited(&env).await, before + 1, "audit rows of {name}, which reveals a secret");
    }
    let mut worker = env.worker("w", &[]);
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &["operation is given up and undone"]);
    assert_tidy(&env).await;
}
