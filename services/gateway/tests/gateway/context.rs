//! Which tenant a request is for, and whether it is served.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use secrecy::ExposeSecret;
use yuantus_auth::{Role, opaque, tenancy::KeyFacts};
use yuantus_domain::{Change, TenantId, TenantStatus};
use yuantus_gateway::{AuthMode, Hosts};

use crate::server::{TestServer, problem};

/// Asks for the tenant in context.
fn current(server: &TestServer, token: &str) -> RequestBuilder {
    server.anonymous(Method::GET, "/api/v1/admin/tenant").bearer_auth(token)
}

fn acme() -> TenantId {
    TenantId::parse("tenant_id", "acme").unwrap()
}

async fn reason(request: RequestBuilder, status: StatusCode) -> String {
    let document = problem(request.send().await.unwrap(), status).await;
    document["reason"].as_str().unwrap().to_owned()
}

/// The tenant that the handler saw.
async fn seen(server: &TestServer, request: RequestBuilder) -> String {
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    let caller = server.fake.last().caller;
    assert_eq!(caller.tenant, caller.tenant_facts.as_ref().map(|facts| facts.id.clone()));
    caller.tenant.as_ref().unwrap().to_string()
}

#[tokio::test]
async fn the_tenant_is_the_tokens_the_headers_or_the_hosts() {
    let server = TestServer::start_with(|settings| {
        settings.hosts = Hosts { root_domain: "example.com".into(), ..Hosts::default() };
    })
    .await;
    let (ann, root) = (server.token("acme", Role::Member), server.platform());
    assert_eq!(seen(&server, current(&server, &ann)).await, "acme");
    let named = || current(&server, &ann).header("x-tenant-id", "acme");
    assert_eq!(seen(&server, named()).await, "acme");
    let hosted = current(&server, &ann).header(header::HOST, "ACME.example.com:7910");
    assert_eq!(seen(&server, hosted).await, "acme");
    let owner = current(&server, &root).header("x-tenant-id", "acme");
    assert_eq!(seen(&server, owner).await, "acme");
    let owner = current(&server, &root).header(header::HOST, "acme.example.com");
    assert_eq!(seen(&server, owner).await, "acme");

    let other = current(&server, &ann).header("x-tenant-id", "other");
    assert_eq!(reason(other, StatusCode::FORBIDDEN).await, "TENANT_MISMATCH");
    let other = current(&server, &ann).header(header::HOST, "other.example.com");
    assert_eq!(reason(other, StatusCode::FORBIDDEN).await, "TENANT_MISMATCH");
    let both = named().header(header::HOST, "other.example.com");
    assert_eq!(reason(both, StatusCode::FORBIDDEN).await, "TENANT_MISMATCH");

    let nowhere = problem(current(&server, &root).send().await.unwrap(), StatusCode::BAD_REQUEST);
    let detail = nowhere.await["detail"].clone();
    assert_eq!(detail, "TENANCY_MODE=db-per-tenant-org requires tenant_id context");
}

#[tokio::test]
async fn odd_tenant_headers_are_refused() {
    let server = TestServer::start().await;
    for token in [server.token("acme", Role::TenantAdmin), server.platform()] {
        for value in ["acme,acme", "acme, other", "Acme", "a__b", "é"] {
            let request = current(&server, &token).header("x-tenant-id", value);
            assert_eq!(reason(request, StatusCode::BAD_REQUEST).await, "INVALID_ARGUMENT");
        }
        let twice = current(&server, &token).header("x-tenant-id", "acme");
        let twice = twice.header("X-Tenant-ID", "acme");
        assert_eq!(reason(twice, StatusCode::BAD_REQUEST).await, "INVALID_ARGUMENT");
    }
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
}

#[tokio::test]
async fn a_tenant_that_cannot_be_served_is_refused_before_any_handler() {
    let server = TestServer::start().await;
    let (ann, root) = (server.token("acme", Role::TenantAdmin), server.platform());
    for (status, expected, reason) in [
        (None, StatusCode::NOT_FOUND, "NOT_FOUND"),
        (Some(TenantStatus::Suspended), StatusCode::FORBIDDEN, "TENANT_SUSPENDED"),
        (Some(TenantStatus::Provisioning), StatusCode::SERVICE_UNAVAILABLE, "PROVISIONING"),
        (Some(TenantStatus::Failed), StatusCode::SERVICE_UNAVAILABLE, "PROVISIONING_FAILED"),
    ] {
        server.directory.tenants.lock().unwrap().insert("acme".into(), status);
        server.memory.hear(Change::Tenant(acme()));
        for path in ["/api/v1/admin/tenant", "/api/v1/auth/me", "/api/v1/tenants/acme/orgs"] {
            let request = server.anonymous(Method::GET, path).bearer_auth(&ann);
            let refused = request.send().await.unwrap();
            let retry = refused.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(retry, expected == StatusCode::SERVICE_UNAVAILABLE, "{path}");
            assert_eq!(problem(refused, expected).await["reason"], reason, "{path}");
        }
        assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
        let owner = current(&server, &root).header("x-tenant-id", "acme").send().await.unwrap();
        assert_eq!(owner.status() == StatusCode::OK, status.is_some(), "owners may look");
        server.fake.calls.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn what_is_good_is_remembered_until_it_is_told_otherwise() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    let ask = async || current(&server, &ann).send().await.unwrap().status();
    assert_eq!(ask().await, StatusCode::OK);
    let asked = server.directory.asked();
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(server.directory.asked(), asked, "the directory is not asked again");

    let suspended = Some(TenantStatus::Suspended);
    server.directory.tenants.lock().unwrap().insert("acme".into(), suspended);
    server.memory.hear(Change::Tenant(acme()));
    assert_eq!(ask().await, StatusCode::FORBIDDEN);
    server.directory.tenants.lock().unwrap().clear();
    assert_eq!(ask().await, StatusCode::OK, "nobody has to tell what becomes good");

    // Ann's token is the first that was made.
    server.directory.users.lock().unwrap().remove(&7).unwrap();
    server.memory.hear(Change::User(7));
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn nothing_is_remembered_while_changes_may_be_missed() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    let ask = async || current(&server, &ann).send().await.unwrap().status();
    assert_eq!(ask().await, StatusCode::OK);
    server.memory.hear(Change::Lost);
    let suspended = Some(TenantStatus::Suspended);
    assert_eq!(ask().await, StatusCode::OK);
    server.directory.tenants.lock().unwrap().insert("acme".into(), suspended);
    assert_eq!(ask().await, StatusCode::FORBIDDEN, "though nothing was told");
    server.directory.tenants.lock().unwrap().clear();
    assert_eq!(ask().await, StatusCode::OK);
    server.memory.hear(Change::Listening);
    assert_eq!(ask().await, StatusCode::OK);
    let asked = server.directory.asked();
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(server.directory.asked(), asked, "it remembers again");
}

#[tokio::test]
async fn roles_are_those_of_now_not_those_of_the_token() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::TenantAdmin);
    let orgs = async || {
        let request = server.anonymous(Method::GET, "/api/v1/tenants/acme/orgs");
        request.bearer_auth(&ann).send().await.unwrap().status()
    };
    assert_eq!(orgs().await, StatusCode::OK);
    server.directory.users.lock().unwrap().get_mut(&7).unwrap().roles = vec![Role::Member];
    server.memory.hear(Change::User(7));
    assert_eq!(orgs().await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn members_are_within_their_orgs_and_administrators_in_all() {
    let server = TestServer::start().await;
    let (bob, ann) = (server.token("acme", Role::Member), server.token("acme", Role::TenantAdmin));
    server.directory.strangers.lock().unwrap().extend(["acme/hq/7".into(), "acme/hq/8".into()]);
    let ask = async |token: &str, org: &str| {
        current(&server, token).header("x-org-id", org).send().await.unwrap().status()
    };
    assert_eq!(ask(&bob, "hq").await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&bob, "eu").await, StatusCode::OK);
    assert_eq!(*server.fake.last().caller.org_roles, ["support_agent"]);
    assert_eq!(ask(&ann, "hq").await, StatusCode::OK);
}

#[tokio::test]
async fn acting_within_a_tenant_is_recorded_reading_too() {
    let server = TestServer::start().await;
    let root = server.platform();
    let recorded = || server.directory.impersonations.lock().unwrap().clone();
    let reading = current(&server, &root).header("x-tenant-id", "acme");
    reading.send().await.unwrap();
    assert!(server.fake.last().caller.impersonating);
    assert_eq!(recorded(), ["acme reads"]);
    let create = |token: &str| {
        let request = server.anonymous(Method::POST, "/api/v1/tenants/acme/orgs");
        request
            .bearer_auth(token)
            .body(r#"{"id": "hq"}"#)
            .header("content-type", "application/json")
    };
    create(&root).send().await.unwrap();
    assert_eq!(recorded().len(), 1, "the path names the tenant: that is no impersonation");
    create(&root).header("x-tenant-id", "acme").send().await.unwrap();
    assert_eq!(recorded(), ["acme reads", "acme"]);
    create(&server.token("acme", Role::TenantAdmin)).send().await.unwrap();
    assert_eq!(recorded().len(), 2, "one's own tenant");
}

#[tokio::test]
async fn without_authentication_the_headers_count_and_nobody_is_impersonated() {
    let server = TestServer::start_with(|settings| settings.auth_mode = AuthMode::Disabled).await;
    let bare = server.anonymous(Method::GET, "/api/v1/admin/tenant");
    assert_eq!(seen(&server, bare.header("x-tenant-id", "acme")).await, "acme");
    let bare = server.anonymous(Method::GET, "/api/v1/admin/tenant").header("x-tenant-id", "acme");
    bare.send().await.unwrap();
    assert!(!server.fake.last().caller.impersonating);
}

#[tokio::test]
async fn a_host_of_no_tenant_is_not_found_before_anybody_logs_in() {
    let server = TestServer::start_with(|settings| {
        settings.hosts = Hosts { root_domain: "example.com".into(), ..Hosts::default() };
    })
    .await;
    server.directory.tenants.lock().unwrap().insert("gone".into(), None);
    let login = |host: &str| {
        let request = server.anonymous(Method::POST, "/api/v1/auth/login");
        request.header(header::HOST, host)
    };
    assert_eq!(reason(login("gone.example.com"), StatusCode::NOT_FOUND).await, "NOT_FOUND");
    assert_eq!(reason(login("a.b.example.com"), StatusCode::NOT_FOUND).await, "NOT_FOUND");
    let answer = login("acme.example.com").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(server.fake.last().caller.tenant, Some(acme()));
}

#[tokio::test]
async fn a_session_that_is_over_is_refused_and_one_that_is_not_costs_nothing() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::TenantAdmin);
    server.directory.strangers.lock().unwrap().insert("acme/hq/7".into());
    let ask =
        async || current(&server, &ann).header("x-org-id", "hq").send().await.unwrap().status();
    assert_eq!(ask().await, StatusCode::OK);
    let asked = server.directory.asked();
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(server.directory.asked(), asked, "also of one who is no member");
    let (id, _) = server.directory.sessions.lock().unwrap().drain().next().unwrap();
    server.memory.hear(Change::Session(id));
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_that_was_used_costs_nothing_until_it_is_told_otherwise() {
    let server = TestServer::start().await;
    let secret = opaque::generate(opaque::API_KEY).unwrap();
    let secret = secret.expose_secret();
    let (owner, _) = server.directory.add_user("acme", Role::TenantAdmin);
    let id = uuid::Uuid::now_v7();
    let facts = KeyFacts {
        id,
        tenant: "acme".into(),
        org: None,
        name: "ci".into(),
        role: Role::Member,
        owner: Some(owner),
        expires_at: None,
    };
    server.directory.api_keys.lock().unwrap().insert(opaque::hash(secret), facts);
    let ask = async || {
        let request = server.anonymous(Method::GET, "/api/v1/admin/tenant");
        request.header("x-api-key", secret).send().await.unwrap().status()
    };
    assert_eq!(ask().await, StatusCode::OK);
    let caller = server.fake.last().caller;
    assert_eq!(caller.principal.as_ref().unwrap().display_name(), "acme/key:ci");
    let asked = server.directory.asked();
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(server.directory.asked(), asked);
    server.directory.api_keys.lock().unwrap().clear();
    server.memory.hear(Change::ApiKey(id));
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_was_put_out_of_an_org_can_still_log_out() {
    let server = TestServer::start().await;
    let bob = server.token("acme", Role::Member);
    server.directory.strangers.lock().unwrap().insert("acme/hq/7".into());
    let logout = server.anonymous(Method::POST, "/api/v1/auth/logout").bearer_auth(&bob);
    let logout = logout.header("x-org-id", "hq").send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::OK);
    assert_eq!(server.fake.last().caller.org, None, "within no org");
}
