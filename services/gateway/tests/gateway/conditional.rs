//! Conditional GET: who has the answer is not sent it again.

use reqwest::{Method, StatusCode, header};

use crate::server::TestServer;

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let server = TestServer::start().await;
    for path in ["/api/v1/auth/me", "/api/v1/openapi.json", "/api/v1/tenants"] {
        let first = server.get(path).await;
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{tag}");
        for method in [Method::GET, Method::HEAD] {
            let again = server.request(method, path).header("if-none-match", &tag);
            let again = again.header("accept-encoding", "gzip").send().await.unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert_eq!(again.headers()[header::ETAG], tag.as_str());
            assert_eq!(again.headers()[header::VARY], "accept-encoding");
            let cache = first.headers()[header::CACHE_CONTROL].clone();
            assert_eq!(again.headers()[header::CACHE_CONTROL], cache);
            assert!(again.headers().contains_key("x-request-id"));
            assert!(!again.headers().contains_key(header::CONTENT_TYPE));
            assert!(!again.headers().contains_key(header::CONTENT_ENCODING));
            assert!(again.bytes().await.unwrap().is_empty());
        }
        let other = server.request(Method::GET, path).header("if-none-match", "\"other\"");
        let other = other.send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK);
        assert_eq!(other.bytes().await.unwrap(), first.bytes().await.unwrap());
    }
}

#[tokio::test]
async fn only_reads_that_succeed_have_a_tag() {
    let server = TestServer::start().await;
    let missing = server.request(Method::GET, "/api/v1/tenants/acme").header("if-none-match", "*");
    let missing = missing.send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    assert!(!missing.headers().contains_key(header::ETAG));
    let created = server.create_tenant("a").await;
    assert!(!created.headers().contains_key(header::ETAG));
    let refused = server.anonymous(Method::GET, "/api/v1/auth/me").header("if-none-match", "*");
    assert_eq!(refused.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
