//! Files: their rows in the org's own database, their bytes in S3.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    customer::{json_of, make_org, of_org},
    problem::problem,
    quiet::assert_quiet,
    tidy::assert_tidy,
    world::{database, run_as_owner},
};

const HQ: (&str, &str) = ("acme", "hq");
const UPLOAD: &str = "/api/v1/file/upload";
const FORM: &str = "multipart/form-data; boundary=XyZ";

/// A form with one part.
fn form(part: &str, filename: &str, bytes: &[u8]) -> Vec<u8> {
    let head = format!(
        "--XyZ\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nfrom a test\r\n\
         --XyZ\r\ncontent-disposition: form-data; name=\"{part}\"; filename=\"{filename}\"\r\n\
         content-type: Text/Plain; charset=x\r\n\r\n"
    );
    [head.as_bytes(), bytes, b"\r\n--XyZ--\r\n"].concat()
}

fn request(api: &Api, org: (&str, &str), body: Vec<u8>) -> RequestBuilder {
    of_org(api, org, Method::POST, UPLOAD).header("content-type", FORM).body(body)
}

/// Sends a file; answers what is said of it.
pub async fn upload(api: &Api, tenant: &str, filename: &str, bytes: &[u8]) -> Value {
    json_of(request(api, (tenant, "hq"), form("file", filename, bytes))).await
}

fn path(file: &Value, rest: &str) -> String {
    format!("/api/v1/file/{}{rest}", file["id"].as_str().expect("id"))
}

/// What nobody can compress or guess, in more than one part.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()
    });
    next.flatten().take(bytes).collect()
}

async fn rows(env: &TestEnv) -> i64 {
    let sql = "SELECT count(*) FROM files";
    let mut database = env.connect(&database("acme", "hq")).await;
    sqlx::query_scalar(sql).fetch_one(&mut database).await.expect("files")
}

/// Waits until the bucket has this many objects: parts go in the background.
async fn objects(env: &TestEnv, expected: usize) {
    let begun = Instant::now();
    loop {
        let there = env.store().list("tenants/").await.expect("objects");
        if there.len() == expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{there:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn ask(method: Method, url: &str) -> Response {
    Client::new().request(method, url).send().await.expect("answer")
}

#[tokio::test]
async fn files_are_taken_listed_downloaded_and_forgotten() {
    let env = TestEnv::start().await;
    let endpoint = env.s3_settings().endpoint_url.expect("endpoint");
    let public = endpoint.replace("127.0.0.1", "localhost");
    let mut api = env.api_with(&[("YUANTUS_S3_PUBLIC_ENDPOINT_URL", &public)]).await;
    let mut worker = env.worker("w", &[]);
    for tenant in ["acme", "beta"] {
        make_org(&api, tenant).await;
    }
    let bytes = noise(20 * 1024 * 1024 + 3);
    let file = upload(&api, "acme", "../a \u{202e}plan.pdf", &bytes).await;
    assert_eq!(file["filename"], "a plan.pdf");
    assert_eq!(file["size"], bytes.len());
    assert_eq!(file["checksum"], hex::encode(Sha256::digest(&bytes)));
    assert_eq!(file["content_type"], "text/plain");
    assert_eq!(file["created_by"], "platform/anonymous");
    assert_eq!(json_of(of_org(&api, HQ, Method::GET, &path(&file, ""))).await, file);

    // The redirect is followed, by GET and by HEAD.
    let download = path(&file, "/download");
    let got = of_org(&api, HQ, Method::GET, &download).send().await.expect("bytes");
    assert_eq!(got.status(), StatusCode::OK);
    assert!(got.url().as_str().starts_with(&public), "{}", got.url());
    assert_eq!(got.headers()["content-type"], "text/plain");
    let disposition = "attachment; filename=\"a plan.pdf\"; filename*=UTF-8''a%20plan.pdf";
    assert_eq!(got.headers()["content-disposition"], disposition);
    assert!(got.bytes().await.expect("bytes") == bytes, "other bytes came back");
    let head = of_org(&api, HQ, Method::HEAD, &download).send().await.expect("head");
    assert_eq!(
        (head.status(), &head.headers()["content-length"]),
        (StatusCode::OK, &bytes.len().to_string().parse().expect("header"))
    );
    let still = Client::builder().redirect(Policy::none()).build().expect("client");
    let found = still.get(format!("{}{download}", api.url)).header("x-tenant-id", "acme");
    let found = found.header("x-org-id", "hq").send().await.expect("answer");
    assert_eq!(found.status(), StatusCode::FOUND);
    let location = found.headers()["location"].to_str().expect("URL").to_owned();
    assert_eq!(ask(Method::HEAD, &location).await.status(), StatusCode::FORBIDDEN);
    let urls = json_of(of_org(&api, HQ, Method::GET, &path(&file, "/url"))).await;
    let url = |name: &str| urls[name].as_str().expect("URL").to_owned();
    assert_eq!(ask(Method::GET, &url("url")).await.status(), StatusCode::OK);
    assert_eq!(ask(Method::HEAD, &url("head_url")).await.status(), StatusCode::OK);
    assert_eq!(urls["expires_in"], 900);

    // Nobody else's.
    for (method, rest) in [(Method::GET, ""), (Method::GET, "/download"), (Method::DELETE, "")] {
        let foreign = of_org(&api, ("beta", "hq"), method, &path(&file, rest));
        problem(foreign.send().await.expect("answer"), 404).await;
    }
    let empty = upload(&api, "acme", "", b"").await;
    assert_eq!((&empty["filename"], &empty["size"]), (&json!("file"), &json!(0)));
    let list = json_of(of_org(&api, HQ, Method::GET, "/api/v1/file")).await;
    assert_eq!(list["files"], json!([empty, file]));
    let page = json_of(of_org(&api, HQ, Method::GET, "/api/v1/file?page_size=1")).await;
    let token = page["next_page_token"].as_str().expect("token");
    let next = format!("/api/v1/file?page_size=1&page_token={token}");
    assert_eq!(json_of(of_org(&api, HQ, Method::GET, &next)).await["files"], json!([file]));
    let none = json_of(of_org(&api, ("beta", "hq"), Method::GET, "/api/v1/file")).await;
    assert_eq!(none["files"], json!([]));
    assert_tidy(&env).await;

    json_of(of_org(&api, HQ, Method::DELETE, &path(&file, ""))).await;
    for (method, rest) in [(Method::GET, ""), (Method::GET, "/download"), (Method::DELETE, "")] {
        let gone = of_org(&api, HQ, method, &path(&file, rest)).send().await.expect("answer");
        problem(gone, 404).await;
    }
    assert_eq!(ask(Method::GET, &url("url")).await.status(), StatusCode::NOT_FOUND);
    let sql = "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_logs
        WHERE target LIKE 'tenants/acme/orgs/hq/files/%' AND org_id = 'hq'";
    let audited: String =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("audit");
    // Who deletes what is not there is in the trail only once something is deleted.
    assert_eq!(audited, "file.create file.create file.delete");
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn what_is_no_whole_file_leaves_nothing() {
    let env = TestEnv::start().await;
    let limit = ("YUANTUS_DATA__MAX_FILE_BYTES", "12000000");
    let mut api = env.api_with(&[limit]).await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let send = async |body: Vec<u8>| request(&api, HQ, body).send().await.expect("answer");

    let missing = problem(send(form("photo", "x", b"x")).await, 400).await;
    assert_eq!(
        (&missing["field"], &missing["reason"]),
        (&json!("file"), &json!("INVALID_ARGUMENT"))
    );
    let twice = [form("file", "x", b"x"), form("file", "y", b"y")].concat();
    let twice = String::from_utf8(twice).expect("text").replacen("--XyZ--\r\n", "", 1);
    assert_eq!(problem(send(twice.into()).await, 400).await["field"], "file");
    let no_form = of_org(&api, HQ, Method::POST, UPLOAD).json(&json!({"file": "x"}));
    assert_eq!(problem(no_form.send().await.expect("answer"), 415).await["reason"], "NOT_A_FORM");
    assert_eq!(problem(send(b"nonsense".to_vec()).await, 400).await["reason"], "BAD_BODY");
    let mut unended = form("file", "x", &noise(9 << 20));
    unended.truncate(unended.len() - 9);
    assert_eq!(problem(send(unended).await, 400).await["reason"], "BAD_BODY");
    let large = problem(send(form("file", "x", &noise(12_000_001))).await, 413).await;
    assert_eq!((&large["reason"], &large["field"]), (&json!("FILE_TOO_LARGE"), &json!("file")));
    // As large as may be, and announced by nobody.
    let most = send(form("file", "most", &noise(12_000_000))).await;
    assert_eq!(most.status(), StatusCode::OK);
    let most: Value = most.json().await.expect("JSON");
    json_of(of_org(&api, HQ, Method::DELETE, &path(&most, ""))).await;

    // Cut off in the second part.
    let address = api.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("connection");
    let body = form("file", "cut", &noise(10 << 20));
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nhost: {address}\r\nx-tenant-id: acme\r\nx-org-id: hq\r\n\
         content-type: {FORM}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("head");
    stream.write_all(&body[..9 << 20]).await.expect("body");
    stream.shutdown().await.expect("cut");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    objects(&env, 0).await;
    assert_eq!(rows(&env).await, 0);

    // Neither a database without the table nor one that refuses the row.
    run_as_owner(&env, &database("acme", "hq"), "ALTER TABLE files ADD CHECK (size <> 3)").await;
    let refused = problem(send(form("file", "x", b"abc")).await, 412).await;
    assert_eq!(refused["reason"], "CONSTRAINT");
    objects(&env, 0).await;
    run_as_owner(&env, &database("acme", "hq"), "DROP TABLE files").await;
    assert_eq!(problem(send(form("file", "x", b"x")).await, 412).await["reason"], "NO_SUCH_TABLE");
    objects(&env, 0).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_row_that_names_anothers_object_is_not_believed() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    for tenant in ["acme", "beta"] {
        make_org(&api, tenant).await;
    }
    let secret = upload(&api, "beta", "secret.txt", b"a secret").await;
    let stolen = upload(&api, "acme", "mine.txt", b"mine").await;
    let sql = format!(
        "UPDATE files SET object_key = 'tenants/beta/orgs/hq/files/{}'",
        secret["id"].as_str().expect("id")
    );
    run_as_owner(&env, &database("acme", "hq"), &sql).await;
    let asked = of_org(&api, HQ, Method::GET, &path(&stolen, "/download")).send().await;
    let refused = problem(asked.expect("answer"), 412).await;
    assert_eq!(refused["reason"], "FILE_MISSING");
    json_of(of_org(&api, HQ, Method::DELETE, &path(&stolen, ""))).await;
    let beta = ("beta", "hq");
    let kept = of_org(&api, beta, Method::GET, &path(&secret, "/download")).send().await;
    assert_eq!(kept.expect("bytes").bytes().await.expect("bytes"), &b"a secret"[..]);
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn a_form_that_never_begins_is_not_kept() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let preamble = [noise(4 << 20), form("file", "late.txt", b"late")].concat();
    let refused = request(&api, HQ, preamble).send().await.expect("answer");
    assert_eq!(problem(refused, 400).await["reason"], "BAD_FORM");
    let header = [b"--XyZ\r\nx: ".to_vec(), vec![b'a'; 4 << 20]].concat();
    let refused = request(&api, HQ, header).send().await.expect("answer");
    assert_eq!(problem(refused, 400).await["reason"], "BAD_FORM");
    assert_eq!(rows(&env).await, 0);
    assert_quiet(&api.child, &[]);
}

#[tokio::test]
async fn without_s3_a_file_is_refused_and_can_be_sent_again() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    // A small file fails at its end, a large one on the way.
    for size in [5, 9 << 20] {
        env.s3.faults().fail_next(u64::MAX);
        let refused = request(&api, HQ, form("file", "x", &noise(size))).send().await;
        let refused = problem(refused.expect("answer"), 503).await;
        assert_eq!(refused["reason"], "STORAGE_UNAVAILABLE");
        env.s3.faults().clear();
        assert_eq!(rows(&env).await, 0);
        objects(&env, 0).await;
    }
    let file = upload(&api, "acme", "x", b"whole").await;
    // An object that cannot be deleted is left over, its row is not.
    env.s3.faults().fail_next(u64::MAX);
    json_of(of_org(&api, HQ, Method::DELETE, &path(&file, ""))).await;
    env.s3.faults().clear();
    assert_eq!(rows(&env).await, 0);
    let left = env.store().list("tenants/acme/orgs/hq/files/").await.expect("objects");
    assert_eq!(left.len(), 1, "{left:?}");
    env.store().delete(&left[0].key).await.expect("delete");
    api.child.terminate().await;
    worker.terminate().await;
    let expected = ["a file was not taken", "an object of no file", "parts of an upload"];
    assert_quiet(&api.child, &expected);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_upload_may_take_longer_than_other_requests() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_SERVER__REQUEST_TIMEOUT_SECONDS", "1.0")]).await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let address = api.url.trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("connection");
    let body = form("file", "slow", &noise(4000));
    let head = format!(
        "POST {UPLOAD} HTTP/1.1\r\nhost: {address}\r\nx-tenant-id: acme\r\nx-org-id: hq\r\n\
         connection: close\r\ncontent-type: {FORM}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.expect("head");
    for chunk in body.chunks(body.len() / 4 + 1) {
        tokio::time::sleep(Duration::from_millis(600)).await;
        stream.write_all(chunk).await.expect("chunk");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(rows(&env).await, 1);
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
