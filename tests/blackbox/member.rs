//! Members: users of a tenant in its orgs.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    authentication::{call, locked},
    people::{
        PASSWORD, Person, doors, doors_become, fields, org_without_database, tenant_with_ann,
    },
    problem::refusal,
};

#[tokio::test]
async fn members_come_change_and_go() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    for tenant in ["acme", "beta"] {
        tenant_with_ann(&api, &root, tenant).await;
        org_without_database(&env, tenant, "hq").await;
    }
    let ann = Person::user(&api, "acme", "ann").await;
    let bob = json!({"username": "bob", "password": PASSWORD, "email": "bob@acme"});
    let bob = ann.post("/api/v1/admin/users", bob).await["id"].clone();
    let dan = json!({"username": "dan", "password": PASSWORD});
    let dan = ann.post("/api/v1/admin/users", dan).await["id"].clone();

    let members = "/api/v1/admin/orgs/hq/members";
    let roles = json!(["owner", "support_agent"]);
    let added = ann.post(members, json!({"username": "bob", "roles": roles.clone()})).await;
    assert_eq!((&added["user_id"], &added["roles"]), (&bob, &roles));
    assert_eq!((&added["is_active"], &added["email"]), (&json!(true), &json!("bob@acme")));
    let add = json!({"user_id": dan, "is_active": false});
    let added = ann.post("/api/v1/tenants/acme/orgs/hq/members", add).await;
    assert_eq!((&added["roles"], &added["is_active"]), (&json!(["member"]), &json!(false)));
    ann.refused(Method::POST, members, json!({"username": "bob"}), 409).await;
    ann.refused(Method::POST, members, json!({"username": "nobody"}), 404).await;
    let both = json!({"username": "bob", "user_id": bob});
    ann.refused(Method::POST, members, both, 400).await;
    for bad in [
        json!({"user_id": bob, "roles": ["tenant_admin"]}),
        json!({"user_id": bob, "roles": ["A b"]}),
    ] {
        ann.refused(Method::POST, members, bad, 400).await;
    }

    let listed = ann.get(members).await;
    assert_eq!((&listed["total"], fields(&listed, "user_id")), (&json!(2), vec![&bob, &dan]));
    let first = ann.get(&format!("{members}?page_size=1")).await;
    let next = first["next_page_token"].as_str().expect("token");
    let second = ann.get(&format!("{members}?page_size=1&page_token={next}")).await;
    assert_eq!((fields(&first, "user_id"), fields(&second, "user_id")), (vec![&bob], vec![&dan]));

    let one = format!("{members}/{bob}");
    let changed = ann.patch(&one, json!({"roles": ["member"]})).await;
    assert_eq!((&changed["roles"], &changed["is_active"]), (&json!(["member"]), &json!(true)));
    let changed = ann.patch(&one, json!({"is_active": false})).await;
    assert_eq!((&changed["roles"], &changed["is_active"]), (&json!(["member"]), &json!(false)));
    ann.ok(Method::DELETE, &one, Value::Null).await;
    ann.refused(Method::PATCH, &one, json!({"is_active": true}), 404).await;
    ann.refused(Method::DELETE, &one, Value::Null, 404).await;

    for path in ["/api/v1/tenants/beta/orgs/hq/members", "/api/v1/tenants/acme/orgs/no/members"] {
        let status = if path.contains("beta") { 403 } else { 404 };
        ann.refused(Method::GET, path, Value::Null, status).await;
        ann.refused(Method::POST, path, json!({"user_id": dan}), status).await;
    }
    let theirs = root.get("/api/v1/tenants/beta/users").await;
    let theirs = fields(&theirs, "id")[0].clone();
    root.refused(
        Method::POST,
        "/api/v1/tenants/acme/orgs/hq/members",
        json!({"user_id": theirs}),
        404,
    )
    .await;
    ann.ok(Method::DELETE, &format!("/api/v1/admin/users/{dan}"), Value::Null).await;
    assert_eq!(ann.get(members).await["total"], 0, "memberships end with the user");
}

#[tokio::test]
async fn only_members_and_administrators_act_in_an_org() {
    let env = locked().await;
    let api = env.api().await;
    let root = Person::root(&api).await;
    tenant_with_ann(&api, &root, "acme").await;
    org_without_database(&env, "acme", "hq").await;
    let ann = Person::user(&api, "acme", "ann").await;
    let bob = json!({"username": "bob", "password": PASSWORD});
    let bob_id = ann.post("/api/v1/admin/users", bob).await["id"].clone();
    let bob = Person::user(&api, "acme", "bob").await;
    let as_ann = format!("Bearer {}", ann.token);
    let as_bob = format!("Bearer {}", bob.token);
    let (as_ann, as_bob) = (("authorization", &*as_ann), ("authorization", &*as_bob));
    let members = "/api/v1/admin/orgs/hq/members";
    let into_hq = json!({"tenant_id": "acme", "username": "bob", "password": PASSWORD,
        "org_id": "hq"});
    let enter = async || call(&api, None, "Login", into_hq.clone()).await;

    assert_eq!(doors(&api, as_ann).await, 200, "administrators need no membership");
    assert_eq!(doors(&api, as_bob).await, 403);
    let status = enter().await.expect_err("no member");
    assert_eq!(refusal(&status, tonic::Code::PermissionDenied), "PERMISSION_DENIED");
    assert_eq!(status.message(), "not a member of org `hq`");

    ann.post(members, json!({"user_id": bob_id, "roles": ["support_agent"]})).await;
    doors_become(&api, as_bob, 200).await;
    enter().await.expect("a member");
    let gate = |token: &str| {
        let request = reqwest::Client::new().get(format!("{}/authz/http", api.url));
        request.bearer_auth(token).header("x-org-id", "hq").send()
    };
    let passed = gate(&bob.token).await.expect("answer");
    assert_eq!(passed.headers()["x-yuantus-roles"], "member,support_agent");
    let one = format!("{members}/{bob_id}");
    ann.patch(&one, json!({"is_active": false})).await;
    doors_become(&api, as_bob, 403).await;
    enter().await.expect_err("not an active member");
    ann.patch(&one, json!({"is_active": true})).await;
    doors_become(&api, as_bob, 200).await;
    ann.ok(Method::DELETE, &one, Value::Null).await;
    doors_become(&api, as_bob, 403).await;

    let path = format!("/api/v1/admin/users/{bob_id}");
    ann.patch(&path, json!({"is_superuser": true})).await;
    doors_become(&api, as_bob, 200).await;
    // That an administrator is no member is remembered until it is told.
    ann.post(members, json!({"user_id": bob_id, "roles": ["owner"]})).await;
    let told = async {
        let roles = "tenant_admin,owner";
        while gate(&bob.token).await.expect("answer").headers()["x-yuantus-roles"] != roles {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::people::SOON, told).await.expect("the new role is told");
    ann.patch(&path, json!({"is_superuser": false})).await;
    ann.ok(Method::DELETE, &one, Value::Null).await;
    doors_become(&api, as_bob, 403).await;
    assert_eq!(doors(&api, as_ann).await, 200);
}
