//! The gate: one decision, asked for in two ways.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::HeaderMap;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use yuantus_auth::{Role, tenancy::NotReady};
use yuantus_domain::{Change, OrgKey, TenantId, TenantStatus};
use yuantus_gateway::{Answered, Hosts, Observer};
use yuantus_proto::envoy::{
    AttributeContext, CheckRequest, CheckResponse, HeaderMap as RawHeaders, HeaderValue,
    attribute_context::{HttpRequest, Request},
    authorization_client::AuthorizationClient,
    check_response::HttpResponse,
    header_value_option::HeaderAppendAction,
};

use crate::server::{TestServer, problem};

const FACTS: [&str; 5] =
    ["x-tenant-id", "x-org-id", "x-yuantus-database", "x-yuantus-user", "x-yuantus-roles"];

/// A proxy's question about a request of acme's org hq.
fn ask(server: &TestServer, token: &str) -> RequestBuilder {
    let request = server.anonymous(Method::GET, "/authz/http").bearer_auth(token);
    request.header("x-forwarded-method", "GET").header("x-org-id", "hq")
}

fn facts(headers: &HeaderMap) -> [&str; 5] {
    FACTS.map(|name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("{name} is not told"));
        assert_eq!(values.next(), None, "{name} is told once");
        value.to_str().unwrap()
    })
}

async fn denied(response: Response, status: StatusCode) -> String {
    for name in FACTS {
        assert_eq!(response.headers().get(name), None, "{name} is not told");
    }
    problem(response, status).await["reason"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_may_pass_passes_with_every_fact() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    let passed = ask(&server, &ann).send().await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    let expected = ["acme", "hq", "db__acme__hq", "ann", "member,support_agent"];
    assert_eq!(facts(passed.headers()), expected);

    let root = ask(&server, &server.platform()).header("x-tenant-id", "acme");
    let passed = root.send().await.unwrap();
    let expected = ["acme", "hq", "db__acme__hq", "ann", "platform_admin"];
    assert_eq!(facts(passed.headers()), expected);
    assert_eq!(*server.directory.impersonations.lock().unwrap(), ["acme reads"]);

    let root = server.anonymous(Method::GET, "/authz/http").bearer_auth(server.platform());
    let root = root.header("x-tenant-id", "acme").header("x-org-id", "hq");
    root.header("x-original-method", "DELETE").send().await.unwrap();
    assert_eq!(*server.directory.impersonations.lock().unwrap(), ["acme reads", "acme"]);
}

#[tokio::test]
async fn a_decision_that_is_known_asks_nobody() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    assert_eq!(ask(&server, &ann).send().await.unwrap().status(), StatusCode::OK);
    let asked = server.directory.asked();
    for _ in 0..3 {
        assert_eq!(ask(&server, &ann).send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(server.directory.asked(), asked);
}

#[tokio::test]
async fn who_may_not_pass_is_told_why() {
    let server = TestServer::start_with(|settings| {
        settings.hosts = Hosts { root_domain: "example.com".into(), ..Hosts::default() };
    })
    .await;
    let ann = server.token("acme", Role::Member);
    let forbidden = StatusCode::FORBIDDEN;

    let nobody = server.anonymous(Method::GET, "/authz/http").send().await.unwrap();
    assert!(nobody.headers().contains_key(header::WWW_AUTHENTICATE));
    assert_eq!(denied(nobody, StatusCode::UNAUTHORIZED).await, "UNAUTHENTICATED");
    let spoofed = ask(&server, &ann).header("x-tenant-id", "other").send().await.unwrap();
    assert_eq!(denied(spoofed, forbidden).await, "TENANT_MISMATCH");
    let foreign = ask(&server, &ann).header("x-forwarded-host", "other.example.com");
    assert_eq!(denied(foreign.send().await.unwrap(), forbidden).await, "TENANT_MISMATCH");
    let twice = ask(&server, &ann).header("x-org-id", "hq").send().await.unwrap();
    assert_eq!(denied(twice, forbidden).await, "INVALID_ARGUMENT");
    let hosts = ask(&server, &ann).header("x-forwarded-host", "a.example.com, b.example.com");
    assert_eq!(denied(hosts.send().await.unwrap(), forbidden).await, "INVALID_ARGUMENT");
    let no_org = server.anonymous(Method::GET, "/authz/http").bearer_auth(&ann);
    let document = problem(no_org.send().await.unwrap(), forbidden).await;
    assert_eq!(document["detail"], "TENANCY_MODE=db-per-tenant-org requires org_id context");

    for (why, reason) in [
        (NotReady::Provisioning, "PROVISIONING"),
        (NotReady::ProvisioningFailed, "PROVISIONING_FAILED"),
        (NotReady::MissingSchema, "MISSING_SCHEMA"),
        (NotReady::MigrationMismatch, "MIGRATION_MISMATCH"),
    ] {
        server.directory.orgs.lock().unwrap().insert("acme/hq".into(), Some(why));
        server.memory.hear(Change::Org(OrgKey::parse("acme", "hq").unwrap()));
        let unready = ask(&server, &ann).send().await.unwrap();
        assert!(unready.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(denied(unready, StatusCode::SERVICE_UNAVAILABLE).await, reason);
    }
    server.directory.orgs.lock().unwrap().insert("acme/hq".into(), None);
    let gone = ask(&server, &ann).send().await.unwrap();
    assert_eq!(denied(gone, StatusCode::NOT_FOUND).await, "NOT_FOUND");

    let suspended = Some(TenantStatus::Suspended);
    server.directory.tenants.lock().unwrap().insert("acme".into(), suspended);
    server.memory.hear(Change::Tenant(TenantId::parse("tenant_id", "acme").unwrap()));
    for token in [&ann, &server.platform()] {
        let request = ask(&server, token).header("x-tenant-id", "acme").send().await.unwrap();
        assert_eq!(denied(request, forbidden).await, "TENANT_SUSPENDED", "nobody passes");
    }
}

async fn check(server: &TestServer, request: HttpRequest) -> CheckResponse {
    let request = Some(Request { http: Some(request) });
    let attributes = Some(AttributeContext { request });
    let mut client = AuthorizationClient::new(server.channel().await);
    client.check(CheckRequest { attributes }).await.unwrap().into_inner()
}

fn original(headers: &[(&str, &str)]) -> HttpRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    HttpRequest {
        method: "GET".into(),
        headers: headers.collect::<HashMap<_, _>>(),
        path: "/".into(),
        host: "app.internal:8080".into(),
        header_map: None,
    }
}

#[tokio::test]
async fn envoy_is_told_the_same() {
    let server = TestServer::start().await;
    let bearer = format!("Bearer {}", server.token("acme", Role::Member));
    let headers = [("authorization", &*bearer), ("x-org-id", "hq"), (":path", "/")];
    let answer = check(&server, original(&headers)).await;
    assert_eq!(answer.status.unwrap().code, 0);
    let Some(HttpResponse::OkResponse(passed)) = answer.http_response else { panic!("denied") };
    let told = passed.headers.iter().map(|option| {
        assert_eq!(option.append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        let header = option.header.as_ref().unwrap();
        (&*header.key, &*header.value)
    });
    let expected = ["acme", "hq", "db__acme__hq", "ann", "member,support_agent"];
    assert!(told.eq(FACTS.into_iter().zip(expected)));

    let told = Told::default();
    let observer = told.clone();
    let server =
        TestServer::start_with(|settings| settings.observer = Some(Arc::new(observer))).await;
    let bearer = format!("Bearer {}", server.token("acme", Role::Member));
    let joined = [("authorization", &*bearer), ("x-org-id", "hq,hq")];
    let raw = |key: &str, value: &str| HeaderValue {
        key: key.into(),
        value: String::new(),
        raw_value: value.into(),
    };
    let twice = vec![raw("authorization", &bearer), raw("x-org-id", "hq"), raw("x-org-id", "hq")];
    let twice = HttpRequest { header_map: Some(RawHeaders { headers: twice }), ..original(&[]) };
    for (request, expected) in [
        (original(&[]), 401),
        (original(&joined), 403),
        (twice, 403),
        (original(&[("authorization", &*bearer), ("x-tenant-id", "other")]), 403),
        (HttpRequest::default(), 403),
    ] {
        let answer = check(&server, request).await;
        assert_ne!(answer.status.unwrap().code, 0);
        let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else {
            panic!("passed")
        };
        assert_eq!(denied.status.unwrap().code, expected);
        assert!(denied.body.contains("\"reason\""), "{}", denied.body);
    }
    let refused = [401, 403, 403, 403, 403].map(|status| format!("refused {status}"));
    let told = told.0.lock().unwrap().clone();
    let (refusals, answers): (Vec<_>, Vec<_>) =
        told.into_iter().partition(|told| told.starts_with("refused"));
    assert_eq!(refusals, refused);
    assert!(answers.iter().all(|told| told == "answered 200"), "{answers:?}");
}

/// Who observes, as text.
#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Observer for Told {
    fn answered(&self, answered: Answered<'_>) {
        self.0.lock().unwrap().push(format!("answered {}", answered.status));
    }

    fn refused(&self, answered: Answered<'_>) {
        self.0.lock().unwrap().push(format!("refused {}", answered.status));
    }
}
