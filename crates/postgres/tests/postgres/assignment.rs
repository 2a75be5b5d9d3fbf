use futures_of_two::both;
use secrecy::SecretString;
use sqlx::{Connection, PgConnection, Row};
use yuantus_domain::DatabaseName;
use yuantus_postgres::{Ahead, Assigned, Error, Kind, Marker, Spare, WaitingRole, scram};

use crate::fixture::{Fixture, marker, refusal, run, take};

mod futures_of_two {
    /// Two futures at the same time, on two threads.
    pub async fn both<T: Send + 'static>(
        one: impl Future<Output = T> + Send + 'static,
        two: impl Future<Output = T> + Send + 'static,
    ) -> (T, T) {
        let (one, two) = (tokio::spawn(one), tokio::spawn(two));
        (one.await.unwrap(), two.await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_orgs_that_want_the_same_spare_do_not_both_get_it() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    for round in 0..5 {
        let spare = fixture.spare(&template, &format!("spare-{round}")).await;
        let (a, b) = (format!("a{round}"), format!("b{round}"));
        let (one, two) = (fixture.assignment(&a), fixture.assignment(&b));
        let (mut lane_a, mut lane_b) = (fixture.lane(&a).await, fixture.lane(&b).await);
        let (spare_a, spare_b) = (spare.clone(), spare);
        let got = both(async move { take(&mut lane_a, &spare_a, &one).await }, async move {
            take(&mut lane_b, &spare_b, &two).await
        })
        .await;
        assert!(got.0 != got.1, "{got:?}");
    }
}

#[tokio::test]
async fn a_spare_that_is_gone_or_in_use_is_refused_without_an_error() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = fixture.spare(&template, "spare").await;
    let mut lane = fixture.lane("org").await;
    let assignment = fixture.assignment("org");

    assert!(!take(&mut lane, &fixture.name("nothing"), &assignment).await);
    let _user = fixture.admin(&spare).await;
    assert!(!take(&mut lane, &spare, &assignment).await);
    assert!(!fixture.server.role_exists(&assignment.role).await.unwrap());

    let second = fixture.spare(&template, "second").await;
    assert!(take(&mut lane, &second, &assignment).await, "the lane goes on after a refusal");
}

#[tokio::test]
async fn the_first_spare_that_can_be_had_is_assigned() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let busy = fixture.spare(&template, "busy").await;
    let _user = fixture.admin(&busy).await;
    let free = fixture.spare(&template, "free").await;
    let mut lane = fixture.lane("org").await;
    let assignment = fixture.assignment("org");
    let spare = |name: &DatabaseName, bundle: Option<&str>| Spare {
        name: name.clone(),
        bundle: bundle.map(str::to_owned),
        role_key: None,
    };
    let bundle = marker(Kind::Spare).fingerprint;

    let unfit = [spare(&busy, None), spare(&fixture.name("none"), None), spare(&free, Some("?"))];
    assert_eq!(lane.assign_first(unfit.into(), &assignment).await.unwrap(), Assigned::Nothing);
    assert!(!fixture.server.role_exists(&assignment.role).await.unwrap());

    let fit = [spare(&busy, None), spare(&free, Some(&bundle))];
    let assigned = lane.assign_first(fit.to_vec(), &assignment).await.unwrap();
    assert_eq!(assigned, Assigned::Spare { fingerprint: bundle.clone(), seed: None });
    let again = lane.assign_first(fit.to_vec(), &assignment).await.unwrap();
    assert_eq!(again, Assigned::Already(bundle));
    fixture.log_in(&assignment, &assignment.database).await.unwrap();

    let mut other = assignment.clone();
    other.marker.operation = Some("another".to_owned());
    let outcome = lane.assign_first(fit.to_vec(), &other).await;
    assert!(matches!(outcome, Err(Error::NameTaken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_role_left_by_a_crash_is_taken_over() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = fixture.spare(&template, "spare").await;
    let assignment = fixture.assignment("org");
    let sql = format!("CREATE ROLE \"{}\" NOLOGIN SUPERUSER CREATEDB; SELECT 1", assignment.role);
    let _: i32 = fixture.ask(&sql).await;

    assert!(take(&mut fixture.lane("org").await, &spare, &assignment).await);

    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "INSERT INTO notes (text) VALUES ('x')").await.unwrap();
    assert_eq!(refusal(run(&mut tenant, "CREATE DATABASE mine").await), "42501");
}

#[tokio::test]
async fn assigning_twice_changes_nothing() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let second = fixture.spare(&template, "second").await;
    let mut lane = fixture.lane("org").await;

    assert!(take(&mut lane, &second, &assignment).await);
    assert!(fixture.server.database(&second).await.unwrap().is_some(), "the spare is left alone");
    let info = fixture.server.database(&assignment.database).await.unwrap().unwrap();
    assert_eq!(info.marker, Some(assignment.marker.clone()));
    fixture.log_in(&assignment, &assignment.database).await.unwrap();
}

#[tokio::test]
async fn a_name_that_another_org_has_is_not_taken() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let first = fixture.assigned(&template, "org").await;
    let spare = fixture.spare(&template, "spare").await;
    let mut other = fixture.assignment("other");
    other.database = first.database.clone();

    let spares = vec![Spare { name: spare, bundle: None, role_key: None }];
    let outcome = fixture.lane("other").await.assign_first(spares, &other).await;
    assert!(matches!(outcome, Err(Error::NameTaken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn only_a_spare_of_this_plane_is_assigned() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = fixture.spare(&template, "spare").await;
    let mut foreign = fixture.assignment("org");
    foreign.marker.plane = "another".to_owned();
    let mut lane = fixture.lane("org").await;
    assert!(!take(&mut lane, &spare, &foreign).await);

    let assignment = fixture.assignment("org");
    lane.mark(&spare, &marker(Kind::Tombstone)).await.unwrap();
    assert!(!take(&mut lane, &spare, &assignment).await);

    lane.mark(&spare, &marker(Kind::Spare)).await.unwrap();
    assert!(take(&mut lane, &spare, &assignment).await);
    let again = vec![Spare { name: spare, bundle: None, role_key: None }];
    let outcome = lane.assign_first(again.clone(), &foreign).await;
    assert!(matches!(outcome, Err(Error::Foreign { .. })), "{outcome:?}");
    lane.mark(&assignment.database, &marker(Kind::Tombstone)).await.unwrap();
    let outcome = lane.assign_first(again, &assignment).await;
    assert!(matches!(outcome, Err(Error::WrongKind { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_lane_that_only_looked_is_not_given_on_with_its_transaction() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let name = fixture.spare(&template, "spare").await;
    let assignment = fixture.assignment("org");
    let mut lane = fixture.lane("org").await;
    let spares = vec![Spare { name: name.clone(), bundle: None, role_key: None }];
    lane.look(spares, &assignment.database, &assignment.role).await.unwrap();
    lane.close().await;
    assert!(take(&mut fixture.lane("org").await, &name, &assignment).await);
}

#[tokio::test]
async fn a_tenant_reaches_its_own_data_and_nobody_elses() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let one = fixture.assigned(&template, "one").await;
    let two = fixture.assigned(&template, "two").await;

    let mut tenant = fixture.log_in(&one, &one.database).await.unwrap();
    run(
        &mut tenant,
        "INSERT INTO notes (text) VALUES ('x'); UPDATE notes SET text = 'y'; \
         SELECT count(*) FROM notes; DELETE FROM notes; CREATE TEMPORARY TABLE t (i int)",
    )
    .await
    .unwrap();
    for forbidden in [
        "CREATE TABLE mine (i int)",
        "DROP TABLE notes",
        "ALTER TABLE notes ADD COLUMN c int",
        "TRUNCATE notes",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "SET ROLE yuantus_tenant_owner",
        "SELECT rolpassword FROM pg_authid",
    ] {
        assert_eq!(refusal(run(&mut tenant, forbidden).await), "42501", "{forbidden}");
    }
    let timeout = run(&mut tenant, "SHOW statement_timeout").await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&timeout[0], 0), "1min");

    let spare = fixture.spare(&template, "spare").await;
    for other in [&two.database, &spare, &template] {
        let code = refusal(fixture.log_in(&one, other).await);
        assert!(code == "42501" || code == "55000", "{other}: {code}");
    }
}

#[tokio::test]
async fn the_server_is_given_a_verifier_and_the_limit_of_connections() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let sql = |column: &str| {
        format!("SELECT {column} FROM pg_authid WHERE rolname = '{}'", assignment.role)
    };
    let stored: String = fixture.ask(&sql("rolpassword")).await;
    assert!(stored.starts_with("SCRAM-SHA-256$4096:"), "{stored}");
    assert_eq!(fixture.ask::<i32>(&sql("rolconnlimit")).await, 20);

    let wrong = fixture.tenant_options(&assignment, &assignment.database).password("wrong");
    assert_eq!(refusal(PgConnection::connect_with(&wrong).await), "28P01");
}

/// A spare with a role that waits with it, as the pool has them; its password
/// is its seed.
async fn waiting(
    fixture: &Fixture,
    template: &DatabaseName,
    what: &str,
    seed: &str,
) -> DatabaseName {
    let name = fixture.name(what);
    let mut lane = fixture.lane(what).await;
    let role = WaitingRole { key: "key".into(), seed: seed.into() };
    let marker = Marker { role: Some(role), ..marker(Kind::Spare) };
    let verifier = scram::verifier(&SecretString::from(seed));
    let ahead = Ahead::All { verifier: &verifier };
    lane.clone_template(template, &name, &marker, ahead).await.unwrap();
    lane.close().await;
    name
}

fn keyed(name: &DatabaseName, key: &str) -> Vec<Spare> {
    vec![Spare { name: name.clone(), bundle: None, role_key: Some(key.to_owned()) }]
}

#[tokio::test]
async fn the_role_that_waits_with_a_spare_becomes_the_orgs() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = waiting(&fixture, &template, "spare", "seed").await;
    let mut assignment = fixture.assignment("org");
    let mut idle = assignment.clone();
    idle.role = format!("{spare}__seed");
    idle.password = SecretString::from("seed");
    let refused = fixture.log_in(&idle, &spare).await.unwrap_err();
    assert!(refused.to_string().contains("not permitted to log in"), "{refused}");

    let mut lane = fixture.lane("org").await;
    let assigned = lane.assign_first(keyed(&spare, "key"), &assignment).await.unwrap();
    let seed = Some("seed".to_owned());
    let fingerprint = marker(Kind::Spare).fingerprint;
    assert_eq!(assigned, Assigned::Spare { fingerprint: fingerprint.clone(), seed });
    assert!(!fixture.server.role_exists(&format!("{spare}__seed")).await.unwrap());
    let info = fixture.server.database(&assignment.database).await.unwrap().unwrap();
    assert_eq!(info.marker, Some(assignment.marker.clone()));
    let own = assignment.clone();
    assignment.password = SecretString::from("seed");
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "INSERT INTO notes (text) VALUES ('x')").await.unwrap();
    assert!(fixture.log_in(&assignment, &template).await.is_err());
    let limits =
        "SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user; SHOW statement_timeout";
    let rows = run(&mut tenant, limits).await.unwrap();
    assert_eq!((rows[0].get::<i32, _>(0), rows[1].get::<String, _>(0)), (20, "1min".to_owned()));

    // The next attempt gives it the password of the record.
    let again = lane.assign_first(keyed(&spare, "key"), &own).await.unwrap();
    assert_eq!(again, Assigned::Already(fingerprint));
    fixture.log_in(&own, &own.database).await.unwrap();
    assert!(fixture.log_in(&assignment, &assignment.database).await.is_err());
}

#[tokio::test]
async fn a_waiting_role_that_is_no_use_goes_and_the_org_gets_its_own() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    for (org, key, left) in [("other-key", "another", false), ("left", "key", true)] {
        let spare = waiting(&fixture, &template, &format!("spare-{org}"), "seed").await;
        let assignment = fixture.assignment(org);
        if left {
            let sql = format!("CREATE ROLE \"{}\" NOLOGIN; SELECT 1", assignment.role);
            let _: i32 = fixture.ask(&sql).await;
        }
        let mut lane = fixture.lane(org).await;
        let assigned = lane.assign_first(keyed(&spare, key), &assignment).await.unwrap();
        assert!(matches!(assigned, Assigned::Spare { seed: None, .. }), "{assigned:?}");
        assert!(!fixture.server.role_exists(&format!("{spare}__seed")).await.unwrap());
        fixture.log_in(&assignment, &assignment.database).await.unwrap();
    }
}

#[tokio::test]
async fn a_waiting_role_comes_and_goes_with_its_spare() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = fixture.name("spare");
    let left = format!("CREATE ROLE \"{spare}__left\" NOLOGIN PASSWORD 'old'; SELECT 1");
    let _: i32 = fixture.ask(&left).await;
    let left_by_roles = async || fixture.server.left_by_roles(spare.as_str()).await.unwrap();
    assert_eq!(left_by_roles().await, std::slice::from_ref(&spare));
    assert_eq!(waiting(&fixture, &template, "spare", "seed").await, spare);
    let waiting = async || -> Vec<String> {
        let sql = format!(
            "SELECT array(SELECT rolname::text FROM pg_roles
             WHERE starts_with(rolname::text, '{spare}') AND NOT rolcanlogin)"
        );
        fixture.ask(&sql).await
    };
    assert_eq!(waiting().await, [format!("{spare}__seed")]);
    assert!(left_by_roles().await.is_empty());
    let mut lane = fixture.lane("spare").await;
    let plane = marker(Kind::Spare).plane;
    lane.drop_database(&spare, &plane, Kind::Spare).await.unwrap();
    assert!(fixture.server.database(&spare).await.unwrap().is_none());
    assert!(waiting().await.is_empty());
}

#[tokio::test]
async fn a_spare_that_was_replaced_by_another_of_its_name_is_not_taken_for_it() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let spare = waiting(&fixture, &template, "spare", "one").await;
    let (slow, quick) = (fixture.assignment("slow"), fixture.assignment("quick"));
    let mut lane = fixture.lane("slow").await;
    lane.look(keyed(&spare, "key"), &slow.database, &slow.role).await.unwrap();
    let mut other = fixture.lane("quick").await;
    let taken = other.assign_first(keyed(&spare, "key"), &quick).await.unwrap();
    assert!(matches!(taken, Assigned::Spare { seed: Some(seed), .. } if seed == "one"));
    waiting(&fixture, &template, "spare", "two").await;

    assert_eq!(lane.assign(&slow).await.unwrap(), Assigned::Nothing);
    assert!(fixture.server.database(&spare).await.unwrap().is_some());
    let taken = lane.assign_first(keyed(&spare, "key"), &slow).await.unwrap();
    assert!(matches!(taken, Assigned::Spare { seed: Some(seed), .. } if seed == "two"));
}
