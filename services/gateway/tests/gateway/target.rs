//! Nothing that a client chooses decides before the path does: not its content
//! type, its protocol or its headers.

use reqwest::{Client, Method, StatusCode, Version};
use yuantus_auth::Role;

use crate::server::TestServer;

const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
const CONTENT_TYPES: [Option<&str>; 9] = [
    None,
    Some(""),
    Some("application/json"),
    Some("text/html"),
    Some("application/grpc"),
    Some("application/grpc+proto"),
    Some("application/grpc;x=y"),
    Some("application/grpc-web"),
    Some("application/grpc-web-text"),
];
const RPC: &str = "/yuantus.controlplane.v1.TenantService/GetTenant";

/// What a path answers: to nobody, and to a member of acme's org hq, to each
/// method. Content type and protocol make no difference.
type Answers = fn(&str) -> [u16; 2];

fn gate(_: &str) -> [u16; 2] {
    [401, 200]
}

fn nothing(_: &str) -> [u16; 2] {
    [404, 404]
}

fn probe(method: &str) -> [u16; 2] {
    if matches!(method, "GET" | "HEAD") { [200, 200] } else { [405, 405] }
}

/// A member may neither see nor change a tenant's record.
fn tenant(method: &str) -> [u16; 2] {
    if matches!(method, "GET" | "HEAD" | "PATCH") { [401, 403] } else { [405, 405] }
}

const PATHS: [(&str, Answers); 14] = [
    ("/authz/http", gate),
    ("/authz/http?next=/healthz", gate),
    ("/authz/http/", nothing),
    ("//authz/http", nothing),
    ("/authz/http/a.b/C", nothing),
    ("/authz%2Fhttp", nothing),
    ("/AUTHZ/HTTP", nothing),
    ("/authz", nothing),
    ("/healthz", probe),
    ("/api/v1/openapi.json", probe),
    ("/api/v1/tenants/acme", tenant),
    ("/", nothing),
    ("/nowhere", nothing),
    ("/yuantus.controlplane.v1.TenantService", nothing),
];

/// HTTP/1.1, and HTTP/2 without TLS.
fn clients() -> [(Version, Client); 2] {
    let http2 = Client::builder().http2_prior_knowledge().build().unwrap();
    [(Version::HTTP_11, Client::new()), (Version::HTTP_2, http2)]
}

struct Asked<'a> {
    client: &'a Client,
    method: &'a str,
    path: &'a str,
    content_type: Option<&'a str>,
    token: Option<&'a str>,
}

impl TestServer {
    async fn ask(&self, asked: &Asked<'_>) -> reqwest::Response {
        let method = Method::from_bytes(asked.method.as_bytes()).unwrap();
        let url = format!("http://{}{}", self.address, asked.path);
        let mut request = asked.client.request(method, url).header("x-org-id", "hq");
        // A preflight, a deadline and another method are asked for as well.
        request = request
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "GET")
            .header("x-http-method-override", "GET")
            .header("te", "trailers")
            .header("x-forwarded-method", "GET")
            .header("grpc-timeout", "9S");
        if let Some(content_type) = asked.content_type {
            request = request.header("content-type", content_type);
        }
        if let Some(token) = asked.token {
            request = request.bearer_auth(token);
        }
        request.send().await.unwrap()
    }
}

#[tokio::test]
async fn the_path_decides_whatever_else_a_client_says() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    for (version, client) in &clients() {
        for (path, answers) in PATHS {
            for method in METHODS {
                for content_type in CONTENT_TYPES {
                    for (token, expected) in [None, Some(&*ann)].into_iter().zip(answers(method)) {
                        let asked = Asked { client, method, path, content_type, token };
                        let answer = server.ask(&asked).await;
                        assert_eq!(answer.version(), *version);
                        let what = format!("{version:?} {method} {path} {content_type:?}");
                        let known = token.is_some();
                        assert_eq!(answer.status().as_u16(), expected, "{what}, token: {known}");
                        assert_eq!(answer.headers().get("grpc-status"), None, "{what}");
                        let told = answer.headers().contains_key("x-yuantus-database");
                        assert_eq!(told, path.starts_with("/authz/http") && expected == 200);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_method_of_grpc_answers_nothing_else() {
    let server = TestServer::start().await;
    let ann = server.token("acme", Role::Member);
    for (version, client) in &clients() {
        for method in METHODS {
            for content_type in CONTENT_TYPES {
                for token in [None, Some(&*ann)] {
                    let asked = Asked { client, method, path: RPC, content_type, token };
                    let answer = server.ask(&asked).await;
                    let what = format!("{version:?} {method} {content_type:?}");
                    let grpc = content_type.is_some_and(|content_type| {
                        content_type == "application/grpc"
                            || content_type.starts_with("application/grpc+")
                            || content_type.starts_with("application/grpc;")
                    });
                    let refused = |status: &str| status != "0";
                    match (method, grpc) {
                        ("POST", true) => {
                            let status = answer.headers()["grpc-status"].to_str().unwrap();
                            assert!(refused(status), "{what}: {status}");
                        }
                        ("POST", false) => {
                            let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                            assert_eq!(answer.status(), unsupported, "{what}");
                        }
                        _ => assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{what}"),
                    }
                }
            }
        }
    }
    assert!(server.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_preflight_is_no_way_past_the_gate() {
    let server =
        TestServer::start_with(|settings| settings.cors_origins = vec!["*".to_owned()]).await;
    for (_, client) in &clients() {
        for (path, expected) in
            [("/authz/http", 401), (RPC, 405), ("/healthz", 204), ("/api/v1/tenants", 204)]
        {
            let (method, content_type) = ("OPTIONS", Some("application/grpc"));
            let asked = Asked { client, method, path, content_type, token: None };
            assert_eq!(server.ask(&asked).await.status().as_u16(), expected, "{path}");
        }
    }
}
