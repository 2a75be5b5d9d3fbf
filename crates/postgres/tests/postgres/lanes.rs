use yuantus_postgres::{Error, Kind, Server};

use crate::fixture::{Fixture, marker, run, take};

#[tokio::test]
async fn opening_a_lane_ends_what_its_former_holder_left_running() {
    let fixture = Fixture::new().await;
    let lane = fixture.lane_name("org");
    let template = fixture.template().await;
    let spare = fixture.spare(&template, "spare").await;
    let frozen = Server::new(&fixture.url()).unwrap();
    let mut zombie = frozen.open_lane(&lane, 1).await.unwrap();
    let mut migration = frozen.access(&spare, zombie.tag()).connect().await.unwrap();
    run(&mut migration, "BEGIN; INSERT INTO notes (text) VALUES ('zombie')").await.unwrap();

    let mut holder = fixture.server.open_lane(&lane, 2).await.unwrap();

    run(&mut migration, "COMMIT").await.unwrap_err();
    let error = zombie.create_blank(&fixture.name("late"), &marker(Kind::Spare)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let error = zombie.create_blank(&fixture.name("late"), &marker(Kind::Spare)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    assert!(fixture.server.database(&fixture.name("late")).await.unwrap().is_none());
    assert!(take(&mut holder, &spare, &fixture.assignment("org")).await);
}

#[tokio::test]
async fn a_zombie_that_comes_back_is_told_that_it_was_superseded() {
    let fixture = Fixture::new().await;
    let lane = fixture.lane_name("org");
    let holder = fixture.server.open_lane(&lane, 7).await.unwrap();
    let outcome = Server::new(&fixture.url()).unwrap().open_lane(&lane, 6).await;
    match outcome.err() {
        Some(Error::Superseded { epoch: 6, newest: 7, .. }) => {}
        other => panic!("{other:?}"),
    }
    holder.close().await;
}

#[tokio::test]
async fn a_lane_that_was_given_back_can_be_taken_by_anybody() {
    let fixture = Fixture::new().await;
    let lane = fixture.lane_name("org");
    let other = Server::new(&fixture.url()).unwrap();
    for epoch in 1..=5 {
        fixture.server.open_lane(&lane, epoch).await.unwrap().close().await;
        other.open_lane(&lane, epoch).await.unwrap().close().await;
        drop(fixture.server.open_lane(&lane, epoch).await.unwrap());
    }
}

#[tokio::test]
async fn lanes_do_not_disturb_each_other() {
    let fixture = Fixture::new().await;
    let mut lanes = Vec::new();
    for number in 0..20 {
        lanes.push(
            fixture
                .server
                .open_lane(&fixture.lane_name(&number.to_string()), 20 - number)
                .await
                .unwrap(),
        );
    }
    for (number, mut lane) in lanes.into_iter().enumerate() {
        lane.create_blank(&fixture.name(&format!("lane-{number}")), &marker(Kind::Spare))
            .await
            .unwrap();
        lane.close().await;
    }
}

#[tokio::test]
async fn an_abandoned_call_leaves_a_session_that_is_not_used_again() {
    let fixture = Fixture::new().await;
    let mut lane = fixture.lane("org").await;
    let (name, marker) = (fixture.name("abandoned"), marker(Kind::Spare));
    {
        // Polled until the statement is on its way, then dropped.
        let mut call = Box::pin(lane.create_blank(&name, &marker));
        assert!(matches!(futures_poll(&mut call).await, std::task::Poll::Pending));
    }
    let error = lane.create_blank(&name, &marker).await.unwrap_err();
    assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    lane.close().await;
    let mut again = fixture.server.open_lane(&fixture.lane_name("org"), 2).await.unwrap();
    again.create_blank(&name, &marker).await.unwrap();
}

/// Polls a future once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context))
    })
    .await
}
