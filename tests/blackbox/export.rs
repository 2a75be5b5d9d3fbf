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
    let refused = problem(restore(&api, &copy).send().await.expect("answer"), 412).await;
    assert_eq!(refused["reason"], "FILE_MISSING");
    let none = Client::new().get(format!("{}/api/v1/tenants/copy", api.url));
    problem(none.send().await.expect("answer"), 404).await;
    let mut empty = copy.clone();
    empty["orgs"][0]["tables"] = json!([]);
    let done = json_of(restore(&api, &empty)).await;
    assert_eq!((&done["orgs_created"], &done["users_restored"]), (&json!(["hq"]), &json!(1)));
    run_as_owner(&env, &database("copy", "hq"), ODD.split("INSERT").next().expect("DDL")).await;
    let child = "CREATE TABLE a_child (parent bigint NOT NULL, boss bigint, number int NOT NULL)";
    run_as_owner(&env, &database("copy", "hq"), child).await;
    let tables = copy["orgs"][0]["tables"].as_array_mut().expect("tables");
    tables.retain(|table| table["name"] != "files");
    let done = json_of(restore(&api, &copy)).await;
    assert_eq!((&done["rows_restored"], &done["users_restored"]), (&json!(505), &json!(0)));
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

/// A document of two orgs, the first of which has rows that are missing.
fn two_orgs(more: Value) -> Value {
    let row = json!([["lost", "1", "2026-01-01 00:00:00+00"]]);
    let columns = json!(["key", "value", "updated_at"]);
    let table = json!({"schema": "public", "name": "settings", "columns": columns, "rows": row});
    let mut document = json!({
        "format": "yuantus.tenant-export/1",
        "tenant": {"id": "acme"},
        "orgs": [{"id": "hq", "tables": [table]}, {"id": "new", "tables": []}],
        "users": [{"username": "ann", "email": "a@acme.example", "is_active": true}],
        "members": [{"org_id": "hq", "username": "ann", "roles": ["support_agent"]}],
    });
    for (key, value) in more.as_object().expect("object") {
        document[key] = value.clone();
    }
    document
}

#[tokio::test]
async fn nothing_is_written_of_a_document_with_a_mistake_in_it() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    make_org(&api, "acme").await;
    let user = json!({"username": "eve", "password": "x", "email": "Eve@acme.example"});
    let users = "/api/v1/tenants/acme/users";
    json_of(of_org(&api, ("acme", "hq"), Method::POST, users).json(&user)).await;
    let before = contents(&env, "acme").await;
    let recorded = async || -> Vec<String> {
        let sql = "SELECT 'org ' || id FROM orgs UNION ALL SELECT 'user ' || username FROM users
            UNION ALL SELECT 'tenant ' || id FROM tenants
            UNION ALL SELECT 'member ' || user_id FROM org_members ORDER BY 1";
        sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("rows")
    };
    let there = recorded().await;
    let member = |org: &str, user: &str, role: &str| json!({"org_id": org, "username": user, "roles": [role]});
    let table = json!({"schema": "public", "name": "settings", "columns": ["key"], "rows": []});
    let odd = json!({"schema": "public", "name": "nothing", "columns": ["a"], "rows": [["1"]]});
    let good = two_orgs(json!({}))["orgs"][0].clone();
    let ann = json!({"username": "ann"});
    for (more, status, field) in [
        (json!({"members": [member("hq", "nobody", "support_agent")]}), 400, "members"),
        (json!({"members": [member("none", "ann", "support_agent")]}), 400, "members"),
        (json!({"members": [member("hq", "ann", "tenant_admin")]}), 400, "members"),
        (
            json!({"members": [member("hq", "ann", "support_agent"), member("hq", "ann", "support_agent")]}),
            400,
            "members",
        ),
        (json!({"users": [ann, ann]}), 400, "users"),
        (json!({"users": [ann, {"username": "Bad Name"}]}), 400, "users"),
        (
            json!({"users": [
                {"username": "ann", "email": "x@acme.example"},
                {"username": "bob", "email": "X@acme.example"},
            ]}),
            400,
            "users",
        ),
        (json!({"users": [{"username": "ann", "email": "eve@ACME.example"}]}), 409, ""),
        (json!({"orgs": [good, good]}), 400, "orgs"),
        (json!({"orgs": [good, {"id": "new", "tables": [table, table]}]}), 400, "tables"),
        (
            json!({"orgs": [good, {"id": "new", "tables": [{"schema": "public",
                "name": "settings", "columns": ["key", "key"], "rows": [["a", "b"]]}]}]}),
            400,
            "columns",
        ),
        (
            json!({"orgs": [good, {"id": "new", "tables": [{"schema": "public",
                "name": "settings", "columns": ["key"], "rows": [["a"], ["b", "c"]]}]}]}),
            400,
            "rows",
        ),
        (json!({"orgs": [{"id": "hq", "tables": [good["tables"][0], odd]}]}), 412, ""),
    ] {
        let document = two_orgs(more);
        let refused = problem(restore(&api, &document).send().await.expect("answer"), status).await;
        assert_eq!(refused["field"].as_str().unwrap_or_default(), field, "{document}: {refused}");
        assert_eq!(contents(&env, "acme").await, before, "{document}");
        assert_eq!(recorded().await, there, "{document}");
    }
    // As many copies of one org as a document holds.
    let copies = json!({"orgs": vec![json!({"id": "hq"}); 300_000]});
    let answer = restore(&api, &two_orgs(copies)).send().await.expect("answer");
    let refused = problem(answer, 400).await;
    assert_eq!(refused["field"], "orgs", "{refused}");
    assert_eq!(recorded().await, there);

    let done = json_of(restore(&api, &two_orgs(json!({})))).await;
    assert_eq!((&done["rows_restored"], &done["orgs_created"]), (&json!(1), &json!(["new"])));
    assert_eq!((&done["users_restored"], &done["members_restored"]), (&json!(1), &json!(1)));
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_tidy(&env).await;
}
