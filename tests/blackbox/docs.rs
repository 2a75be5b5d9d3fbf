//! The page to read the API's document with, as a browser shows it.

use serde_json::Value;
use yuantus_test_support::{TestEnv, path, run};

#[tokio::test]
async fn a_browser_shows_the_document_and_asks_nobody_else() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let page = reqwest::get(format!("{}/docs", api.url)).await.expect("page");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("http"), "{policy}");
    let html = page.text().await.expect("text");
    assert!(!html.contains("http://") && !html.contains("https://"), "{html}");

    for part in html.split(['"']).filter(|part| part.starts_with('/')) {
        let answer = reqwest::get(format!("{}{part}", api.url)).await.expect("answer");
        assert!(answer.status().is_success(), "{part}");
        assert!(answer.headers()["cache-control"].to_str().expect("text").starts_with("public"));
    }

    let home = env.dir().join("browser");
    std::fs::create_dir(&home).expect("directory");
    let variables = [("HOME", home.to_string_lossy().into_owned()), ("PATH", path())];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let url = format!("{}/docs", api.url);
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-dev-shm-usage",
        "--virtual-time-budget=20000",
        "--dump-dom",
        &url,
    ];
    let shown = run("chromium", &arguments, variables, b"").await.succeeded();
    let document: Value = reqwest::get(format!("{}/api/v1/openapi.json", api.url))
        .await
        .expect("document")
        .json()
        .await
        .expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    for path in paths.keys() {
        assert!(shown.text().contains(path.as_str()), "{path} is not on the page");
    }
}
