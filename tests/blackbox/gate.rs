//! nginx, with the configuration we ship, in front of a small application:
//! who may pass passes with facts, and nobody else does.

use std::{fs, net::TcpListener as Port, time::Duration};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use yuantus_test_support::{Api, Child, TestEnv};

use crate::authentication::{ADMIN_PASSWORD, call, finish, locked, login};

const CONFIG: &str = include_str!("../../compose/gate/nginx.conf");

/// What is heard of is heard of sooner, and remembered for longer.
const PATIENCE: Duration = Duration::from_secs(6);

/// The application: answers the head of the request that reached it.
async fn application() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(echo(stream));
        }
    });
    (port, serving)
}

async fn echo(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => head.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let length = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", head.len());
    let _ = stream.write_all(length.as_bytes()).await;
    let _ = stream.write_all(&head).await;
}

/// nginx, and where it listens.
struct Nginx {
    url: String,
    _process: Child,
}

impl Nginx {
    async fn start(env: &TestEnv, api: &Api, application: u16) -> Self {
        // It binds late: the port may be taken by then, so it is tried again.
        for attempt in 0..5 {
            let port = Port::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("port");
            let dir = env.dir().join(format!("nginx-{attempt}"));
            fs::create_dir(&dir).expect("directory");
            let ours = api.url.strip_prefix("http://").expect("address");
            let servers = CONFIG
                .replace("listen 8080;", &format!("listen {port};"))
                .replace("127.0.0.1:8000", &format!("127.0.0.1:{application}"))
                .replace("127.0.0.1:7910", ours);
            let at = dir.display();
            let config = format!(
                "daemon off; worker_processes 1; pid {at}/pid; error_log stderr;
                 events {{ worker_connections 128; }}
                 http {{ access_log off; client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
                 fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s; {servers} }}"
            );
            let file = dir.join("nginx.conf");
            fs::write(&file, config).expect("configuration");
            let arguments = ["-c", &*file.to_string_lossy(), "-p", &*dir.to_string_lossy()];
            let path = ["/usr/sbin/nginx", "/usr/bin/nginx"]
                .into_iter()
                .find(|p| fs::exists(p).is_ok_and(|there| there));
            let path = path.expect("nginx; scripts/packages.sh nginx-light installs it");
            let mut process = Child::start(path.as_ref(), &arguments, [], &dir.join("log"));
            let url = format!("http://{port}");
            while !process.has_ended() {
                if reqwest::get(&url).await.is_ok() {
                    return Self { url, _process: process };
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        panic!("nginx does not start");
    }

    fn ask(&self, token: &str, headers: &[(&str, &str)]) -> RequestBuilder {
        let request = Client::new().get(format!("{}/page", self.url)).bearer_auth(token);
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    }
}

async fn answer(request: RequestBuilder) -> Response {
    request.send().await.expect("answer")
}

/// The headers of these names that reached the application.
async fn reached(request: RequestBuilder) -> Vec<String> {
    let answer = answer(request).await;
    assert_eq!(answer.status(), 200);
    let head = answer.text().await.expect("text").to_ascii_lowercase();
    let facts = |line: &&str| {
        line.starts_with("x-yuantus") || line.starts_with("x-tenant") || line.starts_with("x-org")
    };
    let mut facts: Vec<_> = head.lines().filter(facts).map(str::to_owned).collect();
    facts.sort_unstable();
    facts
}

#[tokio::test]
async fn nginx_lets_the_right_tenant_pass_with_facts_and_nobody_else() {
    let env = locked().await;
    let api = env.api_with(&[("YUANTUS_TRUSTED_PROXIES", "127.0.0.1")]).await;
    let _worker = env.worker("w", &[]);
    let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    let acme = json!({"id": "acme", "admin_username": "ann",
        "admin_password": "the password of acme"});
    call(&api, Some(&platform), "CreateTenant", acme).await.expect("tenant");
    finish(&api, &platform, "CreateOrg", json!({"tenant_id": "acme", "id": "hq"})).await;
    let ann = login(&api, "acme", "ann", "the password of acme").await;
    let (application, serving) = application().await;
    let nginx = Nginx::start(&env, &api, application).await;
    let hq = [("x-org-id", "hq")];

    let facts = [
        "x-org-id: hq",
        "x-tenant-id: acme",
        "x-yuantus-database: yuantus_mt_pg__acme__hq",
        "x-yuantus-roles: tenant_admin",
        "x-yuantus-user: ann",
    ];
    assert_eq!(reached(nginx.ask(&ann, &hq)).await, facts);
    let spoofed = [
        ("x-org-id", "hq"),
        ("x-yuantus-user", "root"),
        ("x-yuantus-database", "postgres"),
        ("x-yuantus-roles", "platform_admin"),
        ("X-Forwarded-Host", "other.example.com"),
        ("X-Original-Host", "other.example.com"),
    ];
    assert_eq!(reached(nginx.ask(&ann, &spoofed)).await, facts, "what is spoofed is overwritten");

    // Who refused requests came from is nginx's word, not the client's.
    let forged =
        [("x-tenant-id", "other"), ("x-forwarded-for", "203.0.113.66"), ("user-agent", "forger")];
    assert_eq!(answer(nginx.ask(&ann, &forged)).await.status(), 403);
    let sql = "SELECT client_ip FROM audit_logs WHERE user_agent = 'forger'";
    let mut identity = env.identity().await;
    let told = async {
        loop {
            let from: Option<String> =
                sqlx::query_scalar(sql).fetch_optional(&mut identity).await.expect(sql);
            if let Some(from) = from {
                break from;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.expect("in the audit trail");
    assert_eq!(told, "127.0.0.1");

    for (token, headers, expected) in [
        ("nonsense", &hq[..], 401),
        (&*ann, &[("x-org-id", "hq"), ("x-tenant-id", "other")], 403),
        (&ann, &[("x-org-id", "hq"), ("x-org-id", "hq")], 403),
        (&ann, &[("x-org-id", "hq"), ("x-tenant-id", "acme, other")], 403),
        (&ann, &[("X-Org-ID", "hq"), ("X-TENANT-ID", "other")], 403),
        (&ann, &[], 403),
        (&ann, &[("x-org-id", "nowhere")], 404),
        (&platform, &[("x-org-id", "hq"), ("x-tenant-id", "nobody")], 404),
    ] {
        let refused = answer(nginx.ask(token, headers)).await;
        assert_eq!(refused.status(), expected, "{headers:?}");
    }

    let suspend = json!({"tenant_id": "acme", "is_active": false});
    call(&api, Some(&platform), "UpdateTenant", suspend).await.expect("suspended");
    let heard = async {
        while answer(nginx.ask(&ann, &hq)).await.status() != 403 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("a suspended tenant does not pass");
    drop(api);
    let away = answer(nginx.ask(&ann, &hq)).await;
    assert_eq!(away.status(), 503, "nobody passes while we are away");
    serving.abort();
}
