use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sqlx::{ConnectOptions, Row, postgres::PgConnectOptions};
use tokio::{sync::Semaphore, task::JoinSet};
use yuantus_domain::DatabaseName;
use yuantus_postgres::{Assignment, Error, Kind, Swapped};

use crate::fixture::{Fixture, marker, refusal, run};

async fn incoming(fixture: &Fixture, what: &str, text: &str) -> DatabaseName {
    let name = fixture.name(what);
    let mut lane = fixture.lane(what).await;
    lane.create_blank(&name, &marker(Kind::Restore)).await.unwrap();
    let mut owner = fixture.server.access(&name, lane.tag()).connect().await.unwrap();
    run(
        &mut owner,
        &format!(
            "CREATE TABLE notes AS SELECT '{text}' AS text; \
             GRANT SELECT ON notes TO yuantus_tenant_app"
        ),
    )
    .await
    .unwrap();
    lane.close().await;
    name
}

async fn text(fixture: &Fixture, assignment: &Assignment) -> String {
    let mut tenant = fixture.log_in(assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "SELECT text FROM notes").await.unwrap()[0].get(0)
}

#[tokio::test]
async fn a_swap_replaces_the_database_and_locks_the_role_out_of_the_former() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let mut assignment = fixture.assigned(&template, "org").await;
    let restored = incoming(&fixture, "incoming", "restored").await;
    let tombstone = fixture.name("tombstone");
    assignment.marker.operation = Some("restore".to_owned());
    let mut lane = fixture.lane("org").await;

    let swap = lane.swap(&restored, &assignment, &tombstone).await.unwrap();
    assert_eq!(swap, Swapped::Replaced);
    assert_eq!(text(&fixture, &assignment).await, "restored");
    assert_eq!(refusal(fixture.log_in(&assignment, &tombstone).await), "42501");
    let buried = fixture.server.database(&tombstone).await.unwrap().unwrap().marker.unwrap();
    assert_eq!(buried.kind, Kind::Tombstone);
    assert_eq!(buried.owner, assignment.marker.owner);

    let swap = lane.swap(&restored, &assignment, &tombstone).await.unwrap();
    assert_eq!(swap, Swapped::Already);
    assignment.marker.operation = Some("another".to_owned());
    let outcome = lane.swap(&restored, &assignment, &fixture.name("second")).await;
    assert!(matches!(outcome, Err(Error::Missing { .. })), "{outcome:?}");
    assert_eq!(text(&fixture, &assignment).await, "restored");
}

#[tokio::test]
async fn a_swap_places_a_database_where_there_was_none() {
    let fixture = Fixture::new().await;
    let restored = incoming(&fixture, "incoming", "cloned").await;
    let assignment = fixture.assignment("new");
    let mut lane = fixture.lane("new").await;
    let swap = lane.swap(&restored, &assignment, &fixture.name("unused")).await.unwrap();
    assert_eq!(swap, Swapped::Placed);
    assert_eq!(text(&fixture, &assignment).await, "cloned");
}

#[tokio::test]
async fn a_swap_does_not_bury_somebody_elses_database_or_over_a_tombstone() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let mut assignment = fixture.assigned(&template, "org").await;
    let restored = incoming(&fixture, "incoming", "restored").await;
    let mut lane = fixture.lane("org").await;
    let outcome = lane.swap(&restored, &assignment, &template).await;
    assert!(matches!(outcome, Err(Error::NameTaken { .. })), "{outcome:?}");
    assignment.marker.plane = "another".to_owned();
    let outcome = lane.swap(&restored, &assignment, &fixture.name("tombstone")).await;
    assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    assert!(fixture.server.database(&restored).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_that_reconnect_at_once_cannot_starve_a_swap() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let mut assignment = fixture.assigned(&template, "org").await;
    let restored = incoming(&fixture, "incoming", "restored").await;
    assignment.marker.operation = Some("restore".to_owned());
    let stop = Arc::new(AtomicBool::new(false));
    let at_work = Arc::new(Semaphore::new(0));
    let mut users = JoinSet::new();
    for _ in 0..USERS {
        let options = fixture.tenant_options(&assignment, &assignment.database);
        users.spawn(use_database(options, Arc::clone(&stop), Arc::clone(&at_work)));
    }
    // Each user has been served.
    at_work.acquire_many(USERS).await.unwrap().forget();

    let mut lane = fixture.lane("org").await;
    let swap = lane.swap(&restored, &assignment, &fixture.name("tombstone")).await;
    assert_eq!(swap.unwrap(), Swapped::Replaced);
    assert_eq!(text(&fixture, &assignment).await, "restored");
    // And is served again, by the restored database.
    at_work.acquire_many(USERS).await.unwrap().forget();
    stop.store(true, Ordering::Relaxed);
    users.join_all().await;
}

const USERS: u32 = 6;

/// A connection of a pool that reconnects whenever it is cut off; each time
/// its first query succeeds it says so.
async fn use_database(options: PgConnectOptions, stop: Arc<AtomicBool>, at_work: Arc<Semaphore>) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut connection) = options.connect().await else {
            continue;
        };
        let mut is_first = true;
        while !stop.load(Ordering::Relaxed)
            && run(&mut connection, "SELECT count(*) FROM notes").await.is_ok()
        {
            if std::mem::take(&mut is_first) {
                at_work.add_permits(1);
            }
        }
    }
}
