//! With authentication required: who gets in.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use prost_reflect::DynamicMessage;
use reqwest::{Client, RequestBuilder, header};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tonic::{Code, Status};
use yuantus_auth::{Principal, Tokens};
use yuantus_proto::access::{Permission, access_of};
use yuantus_test_support::{Api, Options, TestEnv};

use crate::{
    problem::{problem, refusal},
    quiet::assert_quiet,
    rpc,
};

/// What tokens are signed with in these tests.
pub const SECRET: &str = "a secret of the tests that is long enough";

/// The platform administrator's password in these tests.
pub const ADMIN_PASSWORD: &str = "horse battery staple 1";

/// An id that nothing has.
pub const UUID: &str = "0197aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee";

/// An environment in which every caller needs a token.
pub async fn locked() -> TestEnv {
    let variables = vec![("YUANTUS_AUTH_MODE".to_owned(), "required".to_owned())];
    let env = TestEnv::start_with(Options { variables, ..Options::default() }).await;
    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let create = ["db", "create-admin", "root", "--password-stdin"];
    env.cli(&create, &settings, ADMIN_PASSWORD).await.succeeded();
    env
}

/// Calls an RPC by its name.
pub async fn call(
    api: &Api,
    token: Option<&str>,
    name: &str,
    request: Value,
) -> Result<DynamicMessage, Status> {
    let method = rpc::methods().into_iter().find(|method| method.name() == name).expect(name);
    rpc::grpc(api, &method, &request, token).await
}

/// Logs in; answers the token.
pub async fn login(api: &Api, tenant: &str, username: &str, password: &str) -> String {
    let request = json!({"tenant_id": tenant, "username": username, "password": password});
    rpc::text(&call(api, None, "Login", request).await.expect("login"), "access_token")
}

/// Starts an operation and waits until it has succeeded; answers its target.
pub async fn finish(api: &Api, token: &str, name: &str, request: Value) -> String {
    let operation = call(api, Some(token), name, request).await.expect(name);
    let wait = json!({"operation_id": rpc::text(&operation, "id"), "timeout_seconds": 120});
    let ended = call(api, Some(token), "WaitOperation", wait).await.expect("wait");
    let state = ended.get_field_by_name("state").expect("state").as_enum_number();
    assert_eq!(state, Some(3), "{ended:?}");
    rpc::text(&ended, "target")
}

/// A request of any RPC for things of the tenant `beta`.
pub fn of_beta(method: &prost_reflect::MethodDescriptor, operation: &str, backup: &str) -> Value {
    let mut request = json!({});
    for field in method.input().fields() {
        request[field.name()] = match field.name() {
            "tenant_id" => "beta".into(),
            "org_id" => "hq".into(),
            "id" => "new".into(),
            "operation_id" => operation.into(),
            "backup_id" => backup.into(),
            "session_id" if method.name() == "RevokeUserSessions" => continue,
            "session_id" | "api_key_id" => UUID.into(),
            "name" if method.name() == "CreateApiKey" => "ci".into(),
            "customer_id" => "7".into(),
            "area" => "payments".into(),
            "username" if method.name() == "AddMember" => continue,
            "username" => "ann".into(),
            "user_id" => 1.into(),
            "password" => "wrong".into(),
            "timeout_seconds" => 1.into(),
            _ => continue,
        };
    }
    request
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_that_holds() {
    let env = locked().await;
    let mut api = env.api().await;
    let http = Client::new();
    let platform = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    for (title, token) in bad_tokens(&platform) {
        let token = token.as_deref();
        let guarded = |method: &prost_reflect::MethodDescriptor| {
            access_of(&rpc::path(method)).expect("access").permission != Permission::Public
        };
        for method in rpc::methods().into_iter().filter(guarded) {
            let context = format!("{} with {title}", method.name());
            let request = of_beta(&method, "x", "x");
            let status = rpc::grpc(&api, &method, &request, token).await.expect_err(&context);
            assert_eq!(refusal(&status, Code::Unauthenticated), "UNAUTHENTICATED", "{context}");
            let answer = rpc::rest(&http, &api, &method, &request, token).send().await;
            let answer = answer.expect("answer");
            let challenge = answer.headers().get(header::WWW_AUTHENTICATE).cloned();
            assert!(challenge.is_some_and(|c| c.to_str().expect("text").starts_with("Bearer")));
            assert_eq!(problem(answer, 401).await["reason"], "UNAUTHENTICATED", "{context}");
        }
    }
    for (title, token) in bad_tokens(&platform) {
        let request = http.get(format!("{}/authz/http", api.url)).header("x-org-id", "hq");
        let request = request.header("x-tenant-id", "acme");
        let request = token.into_iter().fold(request, RequestBuilder::bearer_auth);
        let answer = request.send().await.expect("answer");
        assert_eq!(problem(answer, 401).await["reason"], "UNAUTHENTICATED", "gate with {title}");
    }
    let list = call(&api, Some(&platform), "ListTenants", json!({})).await;
    list.expect("a good token is let in");
    for open in ["/healthz", "/readyz", "/api/v1/health", "/api/v1/openapi.json"] {
        let answer = http.get(format!("{}{open}", api.url)).send().await.expect("answer");
        assert!(answer.status().is_success(), "{open}");
    }
    api.child.terminate().await;
    assert_quiet(&api.child, &["a token was issued in the future"]);
}

/// Tokens that must be refused, and what is wrong with each.
fn bad_tokens(good: &str) -> Vec<(&'static str, Option<String>)> {
    let hour = Duration::from_secs(3600);
    let root = Principal { user_id: 1, username: "root".into(), ..Principal::anonymous() };
    let forged = Tokens::new(&"another secret of enough length".into(), hour).expect("tokens");
    let forged = forged.issue(&root).expect("token").0.expose_secret().to_owned();
    let [header, claims, signature] = &good.split('.').collect::<Vec<_>>()[..] else {
        panic!("not a token: {good}")
    };
    let bytes = decode(claims);
    let claims_of = |change: &dyn Fn(&mut Value)| {
        let mut claims: Value = serde_json::from_slice(&bytes).expect("claims");
        change(&mut claims);
        claims
    };
    let signed = |claims: &Value, algorithm| {
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        encode(&Header::new(algorithm), claims, &key).expect("token")
    };
    let none = encode_text(r#"{"alg":"none","typ":"JWT"}"#);
    let raised = claims_of(&|c| c["roles"] = json!(["platform_admin", "tenant_admin"]));
    let raised = encode_text(&raised.to_string());
    let expired = claims_of(&|c| c["exp"] = 1.into());
    let future = claims_of(&|c| c["iat"] = (c["iat"].as_u64().expect("iat") + 86_400).into());
    let foreign = claims_of(&|c| c["aud"] = "somebody else".into());
    let endless = claims_of(&|c| drop(c.as_object_mut().expect("claims").remove("exp")));
    let homeless = claims_of(&|c| drop(c.as_object_mut().expect("claims").remove("sid")));
    let unknown = claims_of(&|c| c["sid"] = UUID.into());
    let another = claims_of(&|c| c["user_id"] = 4711.into());
    let console = claims_of(&|c| c["kind"] = "break_glass".into());
    let key = claims_of(&|c| c["kind"] = "api_key".into());
    let elsewhere = claims_of(&|c| c["tenant"] = "acme".into());
    vec![
        ("no token", None),
        ("nonsense", Some("x.y.z".into())),
        ("algorithm none", Some(format!("{none}.{claims}."))),
        ("algorithm none and a signature", Some(format!("{none}.{claims}.{signature}"))),
        ("another algorithm", Some(signed(&claims_of(&|_| ()), Algorithm::HS512))),
        ("another key", Some(forged)),
        ("claims changed", Some(format!("{header}.{raised}.{signature}"))),
        ("no signature", Some(format!("{header}.{claims}."))),
        ("time over", Some(signed(&expired, Algorithm::HS256))),
        ("issued in the future", Some(signed(&future, Algorithm::HS256))),
        ("another audience", Some(signed(&foreign, Algorithm::HS256))),
        ("no end", Some(signed(&endless, Algorithm::HS256))),
        ("no session", Some(signed(&homeless, Algorithm::HS256))),
        ("a session of nobody's", Some(signed(&unknown, Algorithm::HS256))),
        ("another's session", Some(signed(&another, Algorithm::HS256))),
        ("a session as a console's", Some(signed(&console, Algorithm::HS256))),
        ("a session as a key", Some(signed(&key, Algorithm::HS256))),
        ("another's tenant", Some(signed(&elsewhere, Algorithm::HS256))),
    ]
}

fn decode(part: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(part).expect("base64")
}

fn encode_text(text: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let env = locked().await;
    let api = env.api().await;
    let http = Client::new();
    let mut heard = Vec::new();
    for (tenant, username, password) in [
        ("platform", "root", "wrong"),
        ("platform", "nobody", ADMIN_PASSWORD),
        ("no-such-tenant", "root", ADMIN_PASSWORD),
    ] {
        let request = json!({"tenant_id": tenant, "username": username, "password": password});
        let status = call(&api, None, "Login", request.clone()).await.expect_err("login");
        assert_eq!(refusal(&status, Code::Unauthenticated), "UNAUTHENTICATED");
        let post = http.post(format!("{}/api/v1/auth/login", api.url)).json(&request);
        let document = problem(post.send().await.expect("answer"), 401).await;
        assert_eq!(document["detail"], status.message());
        heard.push(status.message().to_owned());
    }
    heard.dedup();
    assert_eq!(heard, ["tenant, username or password is wrong"]);
    // Those who were refused are written down a moment later, and together.
    let root = login(&api, "platform", "root", ADMIN_PASSWORD).await;
    call(&api, Some(&root), "ListAuditLogs", json!({})).await.expect("audit logs");
    let sql = "SELECT coalesce(sum(coalesce((details->>'count')::bigint, 1)), 0)::bigint
        FROM audit_logs WHERE action = 'login.fail'";
    let failed: i64 =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("audit");
    assert_eq!(failed, 6);

    let off = "UPDATE users SET is_active = false";
    sqlx::query(off).execute(&mut env.identity().await).await.expect("switch off");
    let request = json!({"tenant_id": "platform", "username": "root", "password": ADMIN_PASSWORD});
    let status = call(&api, None, "Login", request).await.expect_err("a user switched off");
    assert_eq!(status.message(), heard[0]);
}
