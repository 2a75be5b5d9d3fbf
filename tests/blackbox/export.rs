//! A tenant's data as one document, and back without loss.

use std::collections::BTreeMap;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    customer::{add, json_of, make_org, of_org},
    file::upload,
    problem::problem,
    quiet::assert_quiet,
    tidy::assert_tidy,
    world::{database, fingerprint, run_as_owner},
};

/// Tables of everything that is lost easily.
const ODD: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'it''s "fine"');
CREATE TABLE "Wörld ""x""" (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    doc   jsonb NOT NULL, plain json, raw bytea, ratio float8, small float4, exact numeric,
    at    timestamptz, day date, gap interval, tags text[], deep int[][], feeling mood,
    span  int4range, who inet, fixed char(4), "select" text,
    twice numeric GENERATED ALWAYS AS (exact * 2) STORED
);
INSERT INTO "Wörld ""x""" (doc, plain, raw, ratio, small, exact, at, day, gap, tags, deep,
    feeling, span, who, fixed, "select")
VALUES
    ('null', '{"b": 1,  "a": 1, "a": 2}', '\x00ff27', 'NaN', 0.1, 12345678901234567890.0001,
     '2026-02-03 04:05:06.789012+00', 'infinity', '1 mon -3 days 00:00:00.5',
     ARRAY['a', NULL, '', 'NULL', '{"'], '{{1,2},{3,4}}', 'it''s "fine"', '[1,5)', '10.0.0.1/8',
     'ab', E'line\nquote '' back \\ tab \t'),
    ('{"n": 1.50}', NULL, NULL, -0.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, '');
CREATE TABLE a_child (
    parent bigint NOT NULL REFERENCES "Wörld ""x""" (id),
    boss   bigint, number int NOT NULL
);
INSERT INTO a_child SELECT 1, NULL, n FROM generate_series(1, 500) n;
INSERT INTO a_child VALUES (2, 2, 7), (2, 2, 7);
"#;

async fn export(api: &Api, tenant: &str) -> Value {
    let request = Client::new().get(format!("{}/api/tenants/export", api.url));
    json_of(request.query(&[("tenantId", tenant)])).await
}

fn restore(api: &Api, document: &Value) -> reqwest::RequestBuilder {
    Client::new().post(format!("{}/api/admin/tenants/restore", api.url)).json(document)
}

/// The org's own tables.
async fn contents(env: &TestEnv, tenant: &str) -> BTreeMap<String, (i64, String)> {
    let mut found = fingerprint(env, &database(tenant, "hq")).await;
    found.retain(|table, _| !table.starts_with("yuantus_schema"));
    found
}

#[tokio::test]
async fn what_was_exported_comes_back_as_it_was() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    run_as_owner(&env, &database("acme", "hq"), ODD).await;
    let ann = add(&api, "acme", "Ann").await;
    upload(&api, "acme", "plan.pdf", b"a plan").await;
    let user =
        json!({"username": "bob", "password": "x", "name": "Bob", "email": "b@acme.example"});
    let users = "/api/v1/tenants/acme/users";
    json_of(of_org(&api, ("acme", "hq"), Method::POST, users).json(&user)).await;
    let member = json!({"username": "bob", "roles": ["support_agent"]});
    let members = "/api/v1/tenants/acme/orgs/hq/members";
    json_of(of_org(&api, ("acme", "hq"), Method::POST, members).json(&member)).await;
    let before = contents(&env, "acme").await;
    let document = export(&api, "acme").await;
    assert_eq!(document["users"][0]["username"], "bob");
    assert!(!document.to_string().contains("password"), "{document}");

    // There as it was: nothing happens.
    let rows: i64 = before.values().map(|(rows, _)| rows).sum();
    let done = json_of(restore(&api, &document)).await;
    assert_eq!((&done["rows_restored"], &done["rows_unchanged"]), (&json!(0), &json!(rows)));

    // Gone: all of it comes back.
    let lost = r#"DELETE FROM a_child; DELETE FROM "Wörld ""x"""; DELETE FROM customers"#;
    run_as_owner(&env, &database("acme", "hq"), lost).await;
    let users: Vec<i32> =
        sqlx::query_scalar("DELETE FROM users WHERE tenant_id = 'acme' RETURNING id")
            .fetch_all(&mut env.identity().await)
            .await
            .expect("users");
    assert_eq!(users.len(), 1);
    let done = json_of(restore(&api, &document)).await;
    assert_eq!(
        (&done["rows_restored"], &done["rows_unchanged"]),
        (&json!(505), &json!(rows - 505))
    );
    assert_eq!((&done["users_restored"], &done["members_restored"]), (&json!(1), &json!(1)));
    assert_eq!(contents(&env, "acme").await, before);
    let again = export(&api, "acme").await;
    assert_eq!(again["orgs"], document["orgs"]);
    assert_eq!(again["members"][0]["roles"], json!(["support_agent"]));

    // There otherwise: nothing of the org is touched, and it is said where.
    let path = format!("/api/v1/customers/{ann}");
    let change = json!({"notes": "newer"});
    json_of(of_org(&api, ("acme", "hq"), Method::PATCH, &path).json(&change)).await;
    run_as_owner(&env, &database("acme", "hq"), "DELETE FROM a_child").await;
    let changed = contents(&env, "acme").await;
    let refused = problem(restore(&api, &document).send().await.expect("answer"), 412).await;
    assert_eq!(refused["reason"], "ROWS_DIFFER");
    let detail = "1 rows of `public.customers` of org `acme/hq` are there otherwise";
    assert_eq!(refused["detail"], detail);
    assert_eq!(contents(&env, "acme").await, changed);

    // Into a tenant that is not there: it is made. Files stay whose they are.
    let mut copy = document.clone();
    copy["tenant"]["id"] = "copy".into();
    run_as_owner(&env, &database("acme", "hq"), "SELECT 1").await;
    let refused = problem(restore(&api, &copy).send().await.expect("answer"), 412).await;
    assert_eq!(refused["reason"], "FILE_MISSING");
    run_as_owner(&env, &database("copy", "hq"), ODD.split("INSERT").next().expect("DDL")).await;
    let child = "CREATE TABLE a_child (parent bigint NOT NULL, boss bigint, number int NOT NULL)";
    run_as_owner(&env, &database("copy", "hq"), child).await;
    let tables = copy["orgs"][0]["tables"].as_array_mut().expect("tables");
    tables.retain(|table| table["name"] != "files");
    let done = json_of(restore(&api, &copy)).await;
    assert_eq!((&done["rows_restored"], &done["users_restored"]), (&json!(505), &json!(1)));
    let mut copied = contents(&env, "copy").await;
    let mut expected = before.clone();
    copied.remove("public.files");
    expected.remove("public.files");
    assert_eq!(copied, expected);
    // Whoever comes next gets a number that is free.
    let next = r#"INSERT INTO "Wörld ""x""" (doc) VALUES ('3')"#;
    run_as_owner(&env, &database("copy", "hq"), next).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_table_that_the_orgs_role_may_not_read_is_called_what_it_is() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let mut superuser = env.connect(&database("acme", "hq")).await;
    let sql = "CREATE TABLE theirs (i int)";
    sqlx::Executor::execute(&mut superuser, sql).await.expect("table");
    let request = Client::new().get(format!("{}/api/tenants/export?tenantId=acme", api.url));
    let refused = problem(request.send().await.expect("answer"), 412).await;
    assert_eq!(refused["reason"], "TABLE_NOT_PERMITTED", "{refused}");
    let detail = refused["detail"].as_str().expect("detail");
    for says in ["permission denied for table theirs", "yuantus_tenant_app"] {
        assert!(detail.contains(says), "{detail}");
    }
    worker.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn what_is_no_export_is_refused() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let format = "yuantus.tenant-export/1";
    let with = |tables: Value| {
        let orgs = json!([{"id": "hq", "tables": tables}]);
        json!({"format": format, "tenant": {"id": "acme"}, "orgs": orgs})
    };
    let table = |name: &str, columns: Value, rows: Value| json!([{"schema": "public", "name": name, "columns": columns, "rows": rows}]);
    for (document, status, reason) in [
        (json!({"tenant": {"id": "acme"}}), 400, "INVALID_ARGUMENT"),
        (json!({"format": format}), 400, "INVALID_ARGUMENT"),
        (json!({"format": format, "tenant": {"id": "platform"}}), 400, "INVALID_ARGUMENT"),
        (with(table("nothing", json!(["a"]), json!([["1"]]))), 412, "NO_SUCH_TABLE"),
        (with(table("customers", json!(["a"]), json!([["1"]]))), 412, "TABLE_DIFFERS"),
        (
            with(table("settings", json!(["key", "value", "updated_at"]), json!([["a"]]))),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            with(table("settings", json!(["key", "value", "updated_at"]), json!([["a", 1, "x"]]))),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            with(table(
                "settings",
                json!(["key", "value", "updated_at"]),
                json!([["a", "{", "x"]]),
            )),
            412,
            "TABLE_DIFFERS",
        ),
    ] {
        let refused = problem(restore(&api, &document).send().await.expect("answer"), status).await;
        assert_eq!(refused["reason"], reason, "{document}");
    }
    let nobody = Client::new().get(format!("{}/api/tenants/export?tenantId=none", api.url));
    problem(nobody.send().await.expect("answer"), 404).await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
