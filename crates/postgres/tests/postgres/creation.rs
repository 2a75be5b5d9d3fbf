use yuantus_postgres::{Ahead, Error, Identifier, Kind, Server};

use crate::fixture::{Fixture, marker, refusal, run, take};

#[tokio::test]
async fn several_planes_may_bootstrap_at_once() {
    let fixture = Fixture::new().await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let server = Server::new(&fixture.url()).unwrap();
        all.spawn(async move { server.bootstrap().await });
    }
    while let Some(outcome) = all.join_next().await {
        outcome.unwrap().unwrap();
    }
    assert!(fixture.server.role_exists("yuantus_tenant_owner").await.unwrap());
    assert!(fixture.server.role_exists("yuantus_tenant_app").await.unwrap());
}

#[tokio::test]
async fn making_twice_makes_once() {
    let fixture = Fixture::new().await;
    let mut lane = fixture.lane("org").await;
    let template = fixture.name("template");
    for _ in 0..2 {
        lane.create_blank(&template, &marker(Kind::Template)).await.unwrap();
    }
    for _ in 0..2 {
        lane.seal_template(&template).await.unwrap();
    }
    lane.create_blank(&template, &marker(Kind::Template)).await.unwrap();
    assert!(!fixture.server.is_accepting(&template).await.unwrap());

    let spare = fixture.name("spare");
    for _ in 0..2 {
        let ahead = Ahead::All { verifier: "a verifier" };
        lane.clone_template(&template, &spare, &marker(Kind::Spare), ahead).await.unwrap();
    }
    let spares = fixture.server.databases(Kind::Spare).await.unwrap();
    assert!(spares.iter().any(|info| info.name == spare && info.allows_connections));
}

#[tokio::test]
async fn a_database_that_a_crash_left_unmarked_is_finished() {
    let fixture = Fixture::new().await;
    let name = fixture.name("spare");
    let _ = run(
        &mut fixture.admin(&"postgres".parse_name()).await,
        &format!("CREATE DATABASE \"{name}\" OWNER yuantus_tenant_owner TEMPLATE template0"),
    )
    .await
    .unwrap();

    let mut lane = fixture.lane("org").await;
    lane.create_blank(&name, &marker(Kind::Spare)).await.unwrap();

    let info = fixture.server.database(&name).await.unwrap().unwrap();
    assert_eq!(info.marker, Some(marker(Kind::Spare)));
    let public: bool =
        fixture.ask(&format!("SELECT has_database_privilege('public', '{name}', 'CONNECT')")).await;
    assert!(!public);
}

#[tokio::test]
async fn somebody_elses_database_is_neither_adopted_nor_marked() {
    let fixture = Fixture::new().await;
    let maintenance = &"postgres".parse_name();
    let theirs = fixture.name("theirs");
    let admin = &mut fixture.admin(maintenance).await;
    run(admin, &format!("CREATE DATABASE \"{theirs}\"")).await.unwrap();
    let mut lane = fixture.lane("org").await;
    for kind in [Kind::Spare, Kind::Tenant, Kind::Restore] {
        let outcome = lane.create_blank(&theirs, &marker(kind)).await;
        assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    }
    let outcome = lane.mark(&theirs, &marker(Kind::Spare)).await;
    assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    let outcome = lane.drop_database(&theirs, crate::fixture::PLANE, Kind::Spare).await;
    assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    assert!(fixture.server.database(&theirs).await.unwrap().is_some());
}

#[tokio::test]
async fn what_migrations_make_later_can_be_used_but_not_changed_by_the_app() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let lane = fixture.lane("migration").await;
    let access = fixture.server.access(&assignment.database, lane.tag());
    let mut owner = access.connect().await.unwrap();
    run(
        &mut owner,
        "CREATE SCHEMA shop; CREATE TABLE shop.orders (id bigserial, total int); \
         CREATE FUNCTION shop.one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    .await
    .unwrap();

    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "INSERT INTO shop.orders (total) VALUES (1); SELECT shop.one()")
        .await
        .unwrap();
    assert_eq!(refusal(run(&mut tenant, "DROP TABLE shop.orders").await), "42501");
}

#[tokio::test]
async fn hostile_names_are_only_names() {
    let fixture = Fixture::new().await;
    let name = fixture.name("org\"; DROP ROLE x; --'\\");
    let mut lane = fixture.lane("it's \\ \"odd\"").await;
    lane.create_blank(&name, &marker(Kind::Spare)).await.unwrap();
    let mut assignment = fixture.assignment("odd");
    assignment.role = "ro\"le'; \\".to_owned();
    assignment.marker.owner = Some("it's \\ {}".to_owned());
    assert!(take(&mut lane, &name, &assignment).await);
    let info = fixture.server.database(&assignment.database).await.unwrap().unwrap();
    assert_eq!(info.marker.unwrap().owner, assignment.marker.owner);
    assert!(fixture.server.role_exists(&assignment.role).await.unwrap());
    assert!(Identifier::new("a\0b").is_err());
}

/// Short for a name that is known to be one.
trait ParseName {
    fn parse_name(&self) -> yuantus_domain::DatabaseName;
}

impl ParseName for str {
    fn parse_name(&self) -> yuantus_domain::DatabaseName {
        yuantus_domain::DatabaseName::parse(self).unwrap()
    }
}
