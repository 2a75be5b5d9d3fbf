//! With authentication required: how far those get who are in.

use std::time::Duration;

use prost_reflect::MethodDescriptor;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde_json::json;
use tonic::{Code, Status};
use yuantus_auth::{Principal, Role, Tokens};
use yuantus_proto::access::{Permission, access_of};
use yuantus_test_support::Api;

use crate::{
    authentication::{ADMIN_PASSWORD, SECRET, call, finish, locked, login, of_beta},
    problem::{problem, refusal},
    quiet::assert_quiet,
    rpc,
    settle::settle,
    tidy::assert_tidy,
};

/// The tenants acme and beta, each with the org hq and the administrator ann;
/// what there is in beta.
struct Beta {
    operation: String,
    backup: String,
}

impl Beta {
    async fn make(api: &Api, platform: &str) -> Self {
        for tenant in ["acme", "beta"] {
            let request = json!({"id": tenant, "admin_username": "ann",
                "admin_password": format!("the password of {tenant}")});
            call(api, Some(platform), "CreateTenant", request).await.expect("tenant");
            finish(api, platform, "CreateOrg", json!({"tenant_id": tenant, "id": "hq"})).await;
        }
        let hq = json!({"tenant_id": "beta", "org_id": "hq"});
        let target = finish(api, platform, "CreateBackup", hq).await;
        let newest = json!({"tenant_id": "beta", "page_size": 1});
        let page = call(api, Some(platform), "ListOperations", newest).await.expect("list");
        let operations = page.get_field_by_name("operations").expect("operations").into_owned();
        let newest = operations.as_list().and_then(|list| list[0].as_message()).expect("one");
        let backup = target.rsplit('/').next().expect("backup").to_owned();
        Self { operation: rpc::text(newest, "id"), backup }
    }
}

/// Asserts that acme's administrator cannot call an RPC for beta, and that
/// the platform's can.
async fn assert_closed(
    http: &Client,
    api: &Api,
    method: &MethodDescriptor,
    beta: &Beta,
    (ann, platform): (&str, &str),
) {
    let request = of_beta(method, &beta.operation, &beta.backup);
    let status = rpc::grpc(api, method, &request, Some(ann)).await.expect_err(method.name());
    let (code, http_status) = match method.name().ends_with("Operation") {
        // Nobody is told that another tenant's operation is there.
        true => (Code::NotFound, 404),
        false => (Code::PermissionDenied, 403),
    };
    refusal(&status, code);
    let answer = rpc::rest(http, api, method, &request, Some(ann)).send().await;
    problem(answer.expect("answer"), http_status).await;
    let reached = rpc::grpc(api, method, &request, Some(platform)).await;
    let refused =
        |status: &Status| matches!(status.code(), Code::PermissionDenied | Code::Unauthenticated);
    assert!(!reached.as_ref().is_err_and(refused), "{}: {reached:?}", method.name());
}

#[tokio::test]
async fn a_tenants_administrator_stays_within_the_tenant() {
    let env = locked().await;
    let mut api = env.api().await;
    let http = Client::new();
    let mut worker = env.worker("w", &[]);
    let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    let beta = Beta::make(&api, &platform).await;
    let ann = login(&api, "acme", "ann", "the password of acme").await;
    let guarded = |method: &MethodDescriptor| {
        let permission = access_of(&rpc::path(method)).expect("access").permission;
        matches!(permission, Permission::TenantAdmin | Permission::PlatformAdmin)
    };
    for method in rpc::methods().iter().filter(|method| guarded(method)) {
        assert_closed(&http, &api, method, &beta, (&ann, &platform)).await;
    }
    let sql = "SELECT array_agg(DISTINCT action) FROM audit_logs
        WHERE actor LIKE '%/ann' AND action NOT IN ('denied', 'login')";
    let done: Option<Vec<String>> =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("audit");
    assert_eq!(done, None, "what was refused changed and revealed nothing");

    reaches_its_own(&api, &ann).await;
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}

/// What the administrator of acme can do there, and that lists show no more.
async fn reaches_its_own(api: &Api, ann: &str) {
    let hq = json!({"tenant_id": "acme", "org_id": "hq"});
    let target = finish(api, ann, "CreateBackup", hq.clone()).await;
    call(api, Some(ann), "GetConnection", hq.clone()).await.expect("connection");
    for (list, items) in [("ListOperations", "operations"), ("ListMigrationStatuses", "statuses")] {
        let page = call(api, Some(ann), list, json!({})).await.expect(list);
        let items = page.get_field_by_name(items).expect("items").into_owned();
        let items = items.as_list().expect("list");
        assert!(!items.is_empty(), "{list}");
        for item in items {
            assert_eq!(rpc::text(item.as_message().expect("item"), "tenant_id"), "acme", "{list}");
        }
    }
    let mut restore = hq;
    restore["backup_id"] = target.rsplit('/').next().expect("backup").into();
    for target in ["beta", "a-new-tenant"] {
        restore["target_tenant_id"] = target.into();
        restore["replace"] = true.into();
        let status = call(api, Some(ann), "RestoreBackup", restore.clone()).await;
        refusal(&status.expect_err("into another tenant"), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn roles_count_where_they_were_given() {
    let env = locked().await;
    let api = env.api().await;
    let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    call(&api, Some(&platform), "CreateTenant", json!({"id": "acme"})).await.expect("tenant");
    let tokens = Tokens::new(&SECRET.into(), Duration::from_secs(3600)).expect("tokens");
    let mut identity = env.identity().await;
    let mut token = async |tenant: &str, role: Role| {
        let sql = "INSERT INTO users (tenant_id, username, password_hash, roles)
            VALUES ($1, gen_random_uuid()::text, '', jsonb_build_array($2)) RETURNING id";
        let id = sqlx::query_scalar(sql).bind(tenant).bind(role.as_str());
        let user_id: i32 = id.fetch_one(&mut identity).await.expect("user");
        let sql = "INSERT INTO sessions (id, kind, tenant_id, user_id, expires_at)
            VALUES (gen_random_uuid(), 'user', $1, $2, now() + interval '1 hour') RETURNING id";
        let session = sqlx::query_scalar(sql).bind(tenant).bind(user_id);
        let principal = Principal {
            user_id,
            session: Some(session.fetch_one(&mut identity).await.expect("session")),
            tenant: tenant.into(),
            username: "eve".into(),
            // What the token says is not asked.
            roles: vec![Role::PlatformAdmin],
            ..Principal::anonymous()
        };
        tokens.issue(&principal).expect("token").0.expose_secret().to_owned()
    };
    for (tenant, role) in [
        ("acme", Role::PlatformAdmin),
        ("acme", Role::TenantAdmin),
        ("acme", Role::Member),
        ("platform", Role::TenantAdmin),
        ("platform", Role::Member),
    ] {
        let status = call(&api, Some(&token(tenant, role).await), "ListTenants", json!({})).await;
        refusal(&status.expect_err("not for them"), Code::PermissionDenied);
    }
    let member = token("acme", Role::Member).await;
    call(&api, Some(&member), "GetBundle", json!({})).await.expect("for everybody");
    assert_tidy(&env).await;
}
