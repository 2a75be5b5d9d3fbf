//! What a server remembers of claims, and of who holds its databases.

use yuantus_postgres::{ClaimStamp, Error, Holder, Kind, LaneSession, Result};

use crate::fixture::{Fixture, PLANE, marker, take};

fn stamp(epoch: i64, nonce: &str) -> ClaimStamp {
    ClaimStamp { epoch, nonce: nonce.to_owned() }
}

async fn lane(fixture: &Fixture, epoch: i64, nonce: &str) -> LaneSession {
    fixture.lane("org").await.claimed(stamp(epoch, nonce))
}

fn behind<T: std::fmt::Debug>(outcome: Result<T>) {
    assert!(matches!(outcome, Err(Error::Behind { newest: 7, .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_claim_that_the_server_has_overtaken_changes_nothing() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let name = &assignment.database;
    let seven = lane(&fixture, 7, "seven").await;
    let mut seven = seven;
    seven.stamp(name, PLANE).await.unwrap();
    seven.stamp(name, PLANE).await.unwrap();
    seven.close().await;
    assert!(fixture.server.clone().of_plane(PLANE).newest_claim().await.unwrap() >= 7);

    let incoming = fixture.name("incoming");
    for (epoch, nonce) in [(6, "six"), (7, "another seven")] {
        let mut late = lane(&fixture, epoch, nonce).await;
        behind(late.stamp(name, PLANE).await);
        behind(late.mark_in_use(name, PLANE).await);
        behind(late.drop_database(name, PLANE, Kind::Tenant).await);
        behind(late.assign_first(Vec::new(), &assignment).await);
        late.create_blank(&incoming, &marker(Kind::Restore)).await.unwrap();
        behind(late.swap(&incoming, &assignment, &fixture.name("tombstone")).await);
        late.close().await;
        // Made by that epoch, which later ones follow.
        let mut later = lane(&fixture, 8, "eight").await;
        later.drop_database(&incoming, PLANE, Kind::Restore).await.unwrap();
        later.close().await;
    }
    let mut eight = lane(&fixture, 8, "eight").await;
    eight.stamp(name, PLANE).await.unwrap();
    eight.close().await;
}

#[tokio::test]
async fn a_database_that_an_org_has_is_not_dropped() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let mut lane = fixture.lane("org").await;
    lane.mark_in_use(&assignment.database, PLANE).await.unwrap();
    let outcome = lane.drop_database(&assignment.database, PLANE, Kind::Tenant).await;
    assert!(matches!(outcome, Err(Error::InUse { .. })), "{outcome:?}");
    assert!(fixture.server.database(&assignment.database).await.unwrap().is_some());
}

#[tokio::test]
async fn a_database_is_an_orgs_from_the_assignment_on_where_it_needs_no_migration() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    for (org, ready_at, in_use) in
        [("a", None, false), ("b", Some("f".repeat(64)), true), ("c", Some("g".into()), false)]
    {
        let spare = fixture.spare(&template, &format!("spare-{org}")).await;
        let mut assignment = fixture.assignment(org);
        assignment.ready_at = ready_at;
        let mut lane = fixture.lane(org).await;
        assert!(take(&mut lane, &spare, &assignment).await);
        let found = fixture.server.database(&assignment.database).await.unwrap().unwrap();
        assert_eq!(found.marker.unwrap().in_use, in_use, "{org}");
    }
}

#[tokio::test]
async fn a_plane_has_one_holder_however_many_ask_at_once() {
    let fixture = Fixture::without_superuser().await;
    let plane = fixture.name("plane").to_string();
    let server = fixture.server.clone().of_plane(&plane);
    let (one, two) = tokio::join!(server.holder("one"), server.holder("one"));
    assert_eq!((one.unwrap(), two.unwrap()), (Holder::Ours, Holder::Ours));
    assert_eq!(server.holder("two").await.unwrap(), Holder::Other("one".to_owned()));

    let mut one = server.hold("one").await.unwrap();
    let mut two = server.hold("two").await.unwrap();
    assert_eq!((one.others().await.unwrap(), two.others().await.unwrap()), (1, 1));
    let again = server.hold("one").await.unwrap();
    assert_eq!(one.others().await.unwrap(), 1, "its own kind is no other");
    drop(again);
    server.set_holder("two").await.unwrap();
    assert_eq!(server.holder("one").await.unwrap(), Holder::Other("two".to_owned()));
}
