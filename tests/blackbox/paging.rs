//! Lists come in pages: without gaps or repeats, whatever the size, and
//! whatever is added meanwhile.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, TestEnv};

use crate::{quiet::assert_quiet, settle::settle, tidy::assert_tidy};

/// Reads a page of a list over REST: the items' `name` fields, and the token
/// of the next page.
async fn page(
    api: &Api,
    list: &str,
    name: &[&str],
    size: usize,
    token: &str,
) -> (Vec<String>, String) {
    let list = list.to_owned();
    let (path, query) = list.split_once('?').unwrap_or((&list, ""));
    let url = format!("{}{path}?page_size={size}&page_token={token}&{query}", api.url);
    let answer = reqwest::get(url.trim_end_matches('&')).await.expect("answer");
    let answer: Value = answer.error_for_status().expect("page").json().await.expect("JSON");
    let next = answer["next_page_token"].as_str().unwrap_or_default().to_owned();
    let items = answer.as_object().expect("page").values().find_map(Value::as_array);
    let names = items.into_iter().flatten().map(|item| {
        let parts = name.iter().map(|field| item[field].as_str().expect("name"));
        parts.collect::<Vec<_>>().join("/")
    });
    (names.collect(), next)
}

/// Reads a whole list, and calls `between` after each page but the last.
async fn read(
    api: &Api,
    list: &str,
    name: &[&str],
    size: usize,
    mut between: impl AsyncFnMut(),
) -> Vec<String> {
    let (mut items, mut token) = (Vec::new(), String::new());
    loop {
        let (names, next) = page(api, list, name, size, &token).await;
        assert!(names.len() <= size, "{list}: {} items on a page of {size}", names.len());
        items.extend(names);
        if next.is_empty() {
            return items;
        }
        assert_eq!(items.len() % size, 0, "{list}: only the last page is short");
        between().await;
        token = next;
    }
}

/// Asserts that a list is `expected`, in this order, whatever the page size.
async fn assert_pages(api: &Api, list: &str, name: &[&str], expected: &[String]) {
    for size in [1, 2, 3, expected.len(), 1000] {
        let items = read(api, list, name, size, async || ()).await;
        assert_eq!(items, expected, "{list} in pages of {size}");
    }
}

fn sorted<const N: usize>(ids: [&str; N]) -> Vec<String> {
    let ids: BTreeSet<String> = ids.map(str::to_owned).into();
    ids.into_iter().collect()
}

#[tokio::test]
async fn lists_page_without_gaps_or_repeats() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let tenants = sorted(["acme", "a", "a-b", "a_b", "b", "z9"]);
    for tenant in tenants.iter().rev() {
        api.create_tenant(tenant).await;
    }
    let orgs = sorted(["hq", "h", "h-q", "h_q", "branch", "x1"]);
    let mut worker = env.worker("w", &[]);
    let mut made = Vec::new();
    for (tenant, org) in orgs.iter().map(|org| ("acme", &**org)).chain([("a-b", "hq"), ("b", "b")])
    {
        made.push(api.create_org(tenant, org).await);
    }
    settle(&env).await;
    worker.terminate().await;
    let mut backups = Vec::new();
    for _ in 0..6 {
        backups.push(api.create_backup("acme", "hq").await);
    }
    made.extend(backups.iter().cloned());

    assert_pages(&api, "/api/v1/tenants", &["id"], &tenants).await;
    assert_pages(&api, "/api/v1/tenants/acme/orgs", &["id"], &orgs).await;
    let ids: Vec<String> = made.iter().rev().map(|operation| operation.id.clone()).collect();
    assert_pages(&api, "/api/v1/operations", &["id"], &ids).await;
    let newest_first = backups.iter().rev();
    let ids = newest_first.map(|o| yuantus_test_support::backup_id(o).to_owned());
    let list = "/api/v1/tenants/acme/orgs/hq/backups";
    assert_pages(&api, list, &["id"], &ids.collect::<Vec<_>>()).await;
    let org = ["tenant_id", "org_id"];
    let of_acme: Vec<String> = orgs.iter().map(|org| format!("acme/{org}")).collect();
    assert_pages(&api, "/api/v1/migrations?tenant_id=acme", &org, &of_acme).await;
    let all: Vec<String> =
        ["a-b/hq".to_owned()].into_iter().chain(of_acme).chain(["b/b".to_owned()]).collect();
    assert_pages(&api, "/api/v1/migrations", &org, &all).await;

    let sql = "SELECT id::text FROM audit_logs ORDER BY created_at DESC, id DESC";
    let ids: Vec<String> =
        sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("audit");
    assert_pages(&api, "/api/v1/audit-logs", &["id"], &ids).await;

    filters(&api, &made).await;
    added_meanwhile(&api, &tenants).await;
    let mut worker = env.worker("w", &[]);
    settle(&env).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}

/// What is added while somebody reads a list does not shift its pages.
async fn added_meanwhile(api: &Api, tenants: &[String]) {
    let mut number = 0;
    let between = async || {
        number += 1;
        api.create_tenant(&format!("0-{number}")).await;
        api.create_org("acme", &format!("new-{number}")).await;
    };
    let seen = read(api, "/api/v1/tenants", &["id"], 2, between).await;
    assert_eq!(seen, tenants);
    let before = page(api, "/api/v1/operations", &["id"], 1000, "").await.0;
    let between = async || {
        number += 1;
        api.create_org("acme", &format!("new-{number}")).await;
    };
    assert_eq!(read(api, "/api/v1/operations", &["id"], 3, between).await, before);
}

/// Operations are found by tenant, org, state and type, and all of them at once.
async fn filters(api: &Api, made: &[v1::Operation]) {
    let now = async |query: &str| {
        let list = format!("/api/v1/operations{query}");
        let mut ids = read(api, &list, &["id"], 2, async || ()).await;
        ids.reverse();
        ids
    };
    let wanted = |filter: &dyn Fn(&v1::Operation) -> bool| -> Vec<String> {
        made.iter().filter(|o| filter(o)).map(|o| o.id.clone()).collect()
    };
    let backup = |o: &v1::Operation| o.r#type == "CreateBackup";
    assert_eq!(now("?tenant_id=acme").await, wanted(&|o| o.tenant_id == "acme"));
    assert_eq!(now("?tenant_id=a-b").await, wanted(&|o| o.tenant_id == "a-b"));
    let hq = wanted(&|o| o.tenant_id == "acme" && o.org_id == "hq");
    assert_eq!(hq.len(), 7);
    assert_eq!(now("?tenant_id=acme&org_id=hq").await, hq);
    assert_eq!(now("?state=PENDING").await, wanted(&backup));
    assert_eq!(now("?state=SUCCEEDED").await, wanted(&|o| !backup(o)));
    assert_eq!(now("?state=FAILED").await, wanted(&|_| false));
    assert_eq!(now("?type=CreateBackup").await, wanted(&backup));
    assert_eq!(now("?tenant_id=no-such-tenant").await, wanted(&|_| false));
    let all = "?tenant_id=acme&org_id=hq&state=SUCCEEDED&type=CreateDatabase";
    assert_eq!(now(all).await, hq[..1]);
    let request = v1::ListOperationsRequest {
        tenant_id: "acme".into(),
        state: State::Pending.into(),
        ..Default::default()
    };
    let pending = api.operations().list_operations(request).await.expect("list").into_inner();
    assert_eq!(pending.operations.len(), 6);
}

#[tokio::test]
async fn an_empty_list_is_one_empty_page() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let empty = |value: Value| {
        let page = value.as_object().expect("page");
        page.values().all(|v| [json!([]), json!(""), json!(0)].contains(v))
    };
    for list in ["/api/v1/tenants", "/api/v1/operations", "/api/v1/migrations"] {
        let answer = reqwest::get(format!("{}{list}", api.url)).await.expect("answer");
        assert!(empty(answer.json().await.expect("JSON")), "{list}");
    }
    assert_quiet(&api.child, &[]);
}
