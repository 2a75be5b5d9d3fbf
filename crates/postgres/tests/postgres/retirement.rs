use yuantus_postgres::{Error, Kind};

use crate::fixture::{Fixture, PLANE, run};

#[tokio::test]
async fn dropping_takes_the_database_with_its_sessions_and_then_the_role() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let mut user = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    let mut lane = fixture.lane("org").await;
    for _ in 0..2 {
        lane.drop_database(&assignment.database, PLANE, Kind::Tenant).await.unwrap();
    }
    for _ in 0..2 {
        lane.drop_role(&assignment.role).await.unwrap();
    }
    run(&mut user, "SELECT 1").await.unwrap_err();
    assert!(fixture.server.database(&assignment.database).await.unwrap().is_none());
    assert!(!fixture.server.role_exists(&assignment.role).await.unwrap());
}

#[tokio::test]
async fn a_role_that_has_rights_and_owns_objects_can_be_dropped() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "SELECT lo_from_bytea(4711, 'x')").await.unwrap();

    let mut lane = fixture.lane("org").await;
    lane.drop_role(&assignment.role).await.unwrap();

    assert!(!fixture.server.role_exists(&assignment.role).await.unwrap());
    let mut admin = fixture.admin(&assignment.database).await;
    let rows = run(&mut admin, "SELECT lo_get(4711)").await.unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test]
async fn another_planes_database_is_not_dropped() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let outcome =
        fixture.lane("org").await.drop_database(&template, "another", Kind::Template).await;
    assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    assert!(fixture.server.database(&template).await.unwrap().is_some());
    fixture.lane("org2").await.drop_database(&template, PLANE, Kind::Template).await.unwrap();
    assert!(fixture.server.database(&template).await.unwrap().is_none());
}
