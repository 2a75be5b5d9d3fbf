//! What must hold for every RPC of the contract, and what is served beside
//! them: an RPC that is added without one of these fails here.

use std::collections::BTreeSet;

use prost_reflect::{DescriptorPool, EnumDescriptor, FileDescriptor, MessageDescriptor};
use serde_json::{Value, json};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};
use yuantus_proto::{
    FILE_DESCRIPTOR_SET,
    access::{Permission, Scope, access_of},
    rest::ROUTES,
};
use yuantus_test_support::{Api, TestEnv};

use crate::{problem::problem, rpc};

#[test]
fn every_rpc_says_who_may_call_it_and_has_routes_of_its_own() {
    let paths: Vec<String> = rpc::methods().iter().map(rpc::path).collect();
    for path in &paths {
        let access = access_of(path).unwrap_or_else(|| panic!("{path} has no option (access)"));
        assert_ne!(access.permission, Permission::Unspecified, "{path} names no permission");
        assert_ne!(access.scope, Scope::Unspecified, "{path} names no scope");
        assert!(ROUTES.iter().any(|route| route.rpc == path), "{path} has no route");
    }
    let mut routes: Vec<_> = ROUTES.iter().map(|route| (route.verb, route.template)).collect();
    let count = routes.len();
    routes.sort_unstable();
    routes.dedup();
    assert_eq!(routes.len(), count, "a route is one RPC's");
}

#[test]
fn everything_in_the_contract_is_commented() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut missing = Vec::new();
    for file in pool.files().filter(|f| f.package_name() == "yuantus.controlplane.v1") {
        let comments = Comments::of(&file);
        let mut check = |path: &[i32], name: &str| {
            if !comments.0.contains(path) {
                missing.push(name.to_owned());
            }
        };
        for service in file.services() {
            check(service.path(), service.full_name());
            service.methods().for_each(|m| check(m.path(), m.full_name()));
        }
        file.enums().for_each(|e| check_enum(&e, &mut check));
        file.messages().for_each(|m| check_message(&m, &mut check));
    }
    assert!(missing.is_empty(), "no comment: {missing:#?}");
}

fn check_message(message: &MessageDescriptor, check: &mut impl FnMut(&[i32], &str)) {
    if message.is_map_entry() {
        return;
    }
    check(message.path(), message.full_name());
    message.fields().for_each(|f| check(f.path(), f.full_name()));
    message.child_enums().for_each(|e| check_enum(&e, check));
    message.child_messages().for_each(|m| check_message(&m, check));
}

fn check_enum(of: &EnumDescriptor, check: &mut impl FnMut(&[i32], &str)) {
    check(of.path(), of.full_name());
    of.values().for_each(|v| check(v.path(), v.full_name()));
}

/// The paths within a file that have a comment before them.
struct Comments(BTreeSet<Vec<i32>>);

impl Comments {
    fn of(file: &FileDescriptor) -> Self {
        let locations = &file.file_descriptor_proto().source_code_info.as_ref();
        let locations = locations.expect("comments").location.iter();
        let commented = locations.filter(|l| !l.leading_comments().trim().is_empty());
        Self(commented.map(|location| location.path.clone()).collect())
    }
}

#[tokio::test]
async fn reflection_health_and_documents_are_served() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let services: BTreeSet<String> =
        rpc::methods().iter().map(|m| m.parent_service().full_name().to_owned()).collect();
    assert!(services.is_subset(&reflected_v1(&api).await), "reflection v1");
    assert!(services.is_subset(&reflected_v1alpha(&api).await), "reflection v1alpha");

    let check = HealthCheckRequest { service: String::new() };
    let checked = HealthClient::new(api.channel()).check(check).await.expect("health");
    assert_eq!(checked.get_ref().status(), ServingStatus::Serving);

    let document: Value = get(&api, "/api/v1/openapi.json").await;
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for route in ROUTES {
        let operation = &document["paths"][route.template][route.verb.to_lowercase()];
        assert!(operation.is_object(), "{} {} is not described", route.verb, route.template);
    }

    let alive = reqwest::get(format!("{}/healthz", api.url)).await.expect("healthz");
    assert_eq!(alive.text().await.expect("text"), "ok");
    assert_eq!(get(&api, "/readyz").await, json!({"ok": true}));
    let about = json!({
        "ok": true, "service": "yuantus", "version": env!("CARGO_PKG_VERSION"),
        "tenant_id": null, "org_id": null, "tenancy_mode": "db-per-tenant-org",
        "schema_mode": "migrations", "audit_enabled": false,
    });
    assert_eq!(get(&api, "/api/v1/health").await, about);
    let storage = json!({"ok": true, "type": "s3", "bucket": "yuantus",
        "endpoint_url": env.s3_settings().endpoint_url});
    let deps = json!({"db": {"ok": true}, "identity_db": {"ok": true}, "storage": storage});
    let expected = json!({"ok": true, "deps": deps, "external": {}});
    assert_eq!(get(&api, "/api/v1/health/deps").await, expected);
}

#[tokio::test]
async fn what_is_away_is_said() {
    let mut env = TestEnv::start().await;
    let api = env.api().await;
    env.s3.faults().fail_next(u64::MAX);
    let deps = get(&api, "/api/v1/health/deps").await;
    assert_eq!((&deps["ok"], &deps["deps"]["storage"]["ok"]), (&json!(false), &json!(false)));
    assert_eq!(deps["deps"]["identity_db"], json!({"ok": true}));
    env.s3.faults().clear();
    env.postgres.kill_hard().await.expect("stop");
    let unready = reqwest::get(format!("{}/readyz", api.url)).await.expect("readyz");
    assert_eq!(problem(unready, 503).await["reason"], "IDENTITY_DATABASE");
    let alive = reqwest::get(format!("{}/healthz", api.url)).await.expect("healthz");
    assert!(alive.status().is_success());
    let unavailable = reqwest::get(format!("{}/api/v1/tenants", api.url)).await.expect("tenants");
    assert!(unavailable.headers().contains_key("retry-after"));
    problem(unavailable, 503).await;
}

async fn get(api: &Api, path: &str) -> Value {
    let answer = reqwest::get(format!("{}{path}", api.url)).await.expect("answer");
    answer.error_for_status().expect("status").json().await.expect("JSON")
}

async fn reflected_v1(api: &Api) -> BTreeSet<String> {
    use reflection::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let ask = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(api.channel());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.expect("reflection").into_inner().message().await.expect("answer");
    match answer.expect("answer").message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}

async fn reflected_v1alpha(api: &Api) -> BTreeSet<String> {
    use reflection_alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let ask = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(api.channel());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await;
    let answer = answers.expect("reflection").into_inner().message().await.expect("answer");
    match answer.expect("answer").message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            list.service.into_iter().map(|service| service.name).collect()
        }
        other => panic!("{other:?}"),
    }
}
