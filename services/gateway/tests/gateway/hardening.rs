//! What every answer says to browsers and caches.

use reqwest::Method;

use crate::server::TestServer;

#[tokio::test]
async fn answers_cannot_be_sniffed_framed_kept_or_told_of() {
    let server = TestServer::start().await;
    for path in ["/api/v1/auth/me", "/healthz", "/nowhere", "/api/v1/tenants/a/orgs/b/connection"] {
        for method in [Method::GET, Method::DELETE] {
            let response = server.request(method, path).send().await.unwrap();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(header("referrer-policy"), Some("no-referrer"), "{path}");
            assert_eq!(header("cache-control"), Some("no-store"), "{path}");
            let policy = header("content-security-policy").unwrap();
            assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'", "{path}");
            assert_eq!(header("strict-transport-security"), None, "this is not TLS");
            assert_eq!(header("server"), None, "what serves is nobody's business");
            assert_eq!(header("x-powered-by"), None);
        }
    }
}
