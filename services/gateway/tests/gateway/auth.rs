//! The one authentication layer, in front of gRPC and REST alike.

use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use yuantus_auth::{Principal, Role, Tokens};
use yuantus_gateway::AuthMode;
use yuantus_proto::{
    access::{Permission, access_of},
    rest::{ROUTES, Route},
};

use crate::server::{TestServer, problem};

fn path(route: &Route) -> String {
    let path = route.template.replace("{tenant_id}", "acme").replace("{org_id}", "hq");
    let path = path.replace("{operation_id}", "o1").replace("{backup_id}", "b1");
    let path =
        path.replace("{user_id}", "1").replace("{customer_id}", "1").replace("{file_id}", "1");
    let path = path.replace("{session_id}", "s1").replace("{api_key_id}", "k1");
    path.replace("{area}", "payments")
}

#[tokio::test]
async fn every_route_runs_the_rpc_it_was_authorised_for_and_no_other() {
    let server = TestServer::start().await;
    for route in ROUTES {
        let method = Method::from_bytes(route.verb.as_bytes()).unwrap();
        let request = server.request(method, &path(route));
        request.header("x-tenant-id", "acme").header("x-org-id", "hq").send().await.unwrap();
        let call = server.fake.last();
        let ran = format!("/yuantus.controlplane.v1.{}", call.handler);
        assert_eq!(ran, route.rpc);
        assert_eq!(call.caller.rpc, route.rpc);
    }
}

/// Whom an RPC refuses with 401 and whom with 403: nobody at all, a member, an
/// administrator of a tenant, one who claims the platform's role there, and a
/// platform administrator.
fn refusals(permission: Permission) -> [Option<u16>; 5] {
    let (unknown, denied) = (Some(401), Some(403));
    match permission {
        Permission::Unspecified => [denied; 5],
        Permission::Public => [None; 5],
        Permission::Authenticated | Permission::Member => [unknown, None, None, None, None],
        Permission::TenantAdmin => [unknown, denied, None, denied, None],
        Permission::PlatformAdmin => [unknown, denied, denied, denied, None],
    }
}

#[tokio::test]
async fn every_route_lets_in_whom_the_contract_names() {
    let server = TestServer::start().await;
    let callers = [
        None,
        Some(("acme", Role::Member)),
        Some(("acme", Role::TenantAdmin)),
        Some(("acme", Role::PlatformAdmin)),
        Some(("platform", Role::PlatformAdmin)),
    ];
    for route in ROUTES {
        let access = access_of(route.rpc).expect(route.rpc);
        for (caller, refusal) in callers.iter().zip(refusals(access.permission)) {
            let method = Method::from_bytes(route.verb.as_bytes()).unwrap();
            let mut request = server.anonymous(method, &path(route));
            if let Some((tenant, role)) = caller {
                request = request.bearer_auth(server.token(tenant, *role));
            }
            let status = request.send().await.unwrap().status().as_u16();
            let refused = Some(status).filter(|status| matches!(status, 401 | 403));
            assert_eq!(refused, refusal, "{} for {caller:?}", route.rpc);
        }
    }
}

#[tokio::test]
async fn a_missing_or_bad_token_is_unauthenticated() {
    let server = TestServer::start().await;
    let other = Tokens::new(&"another secret".into(), std::time::Duration::from_secs(60)).unwrap();
    let (forged, _) = other.issue(&Principal::anonymous()).unwrap();
    let forged = format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&forged));
    for credentials in ["", "Basic dTpw", "Bearer", "Bearer x.y.z", &forged] {
        let request = server.anonymous(Method::GET, "/api/v1/tenants");
        let response = request.header("authorization", credentials).send().await.unwrap();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"yuantus\"");
        let document = problem(response, StatusCode::UNAUTHORIZED).await;
        assert_eq!(document["detail"], "the token is not valid", "{credentials}");
    }
    let response = server.anonymous(Method::GET, "/api/v1/tenants").send().await.unwrap();
    let document = problem(response, StatusCode::UNAUTHORIZED).await;
    assert_eq!(document["reason"], "UNAUTHENTICATED");
    assert!(server.fake.calls.lock().unwrap().is_empty(), "no handler ran");
}

#[tokio::test]
async fn a_stale_token_does_not_keep_anybody_from_logging_in() {
    let server = TestServer::start().await;
    let request = server.anonymous(Method::POST, "/api/v1/auth/login").bearer_auth("stale");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(server.fake.last().caller.principal, None);
}

#[tokio::test]
async fn a_body_is_not_looked_into_before_the_caller_is_known() {
    let server = TestServer::start().await;
    let request = server.anonymous(Method::POST, "/api/v1/tenants").body("{ nonsense");
    assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_authentication_everybody_is_the_anonymous_platform_administrator() {
    let server = TestServer::start_with(|settings| settings.auth_mode = AuthMode::Disabled).await;
    let request = server.anonymous(Method::GET, "/api/v1/auth/me");
    let me: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&me["tenant_id"], &me["username"]), (&"platform".into(), &"anonymous".into()));

    let named = server.anonymous(Method::GET, "/api/v1/auth/me");
    let named = named.bearer_auth(server.token("acme", Role::Member));
    let me: Value = named.send().await.unwrap().json().await.unwrap();
    assert_eq!(me["tenant_id"], "acme", "who has a token is who it says");

    let forged = server.anonymous(Method::GET, "/api/v1/auth/me").bearer_auth("forged");
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
