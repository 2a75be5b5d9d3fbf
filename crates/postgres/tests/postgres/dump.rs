use std::{io::Read, pin::Pin};

use sqlx::Row;
use tokio::io::{AsyncRead, AsyncReadExt};
use yuantus_domain::DatabaseName;
use yuantus_postgres::{
    Contents, DatabaseAccess, Error, Kind, LaneTag, TableRows, Tools, count_tables,
    dump::{Dump, DumpFacts},
    restore::{Left, Load},
};

use crate::fixture::{Fixture, marker, run};

/// One of everything that is awkward in an archive. Run as the owner role.
const EVERYTHING: &str = "
    CREATE EXTENSION pgcrypto;
    COMMENT ON EXTENSION pgcrypto IS 'ours';
    COMMENT ON SCHEMA public IS 'changed';
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, mood mood);
    INSERT INTO people (name, mood) SELECT 'p' || i, 'good' FROM generate_series(1, 1000) i;
    CREATE VIEW good AS SELECT * FROM people WHERE mood = 'good';
    CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM people;
    CREATE SEQUENCE counter START 42; SELECT nextval('counter');
    CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
    CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
    CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO events VALUES ('2025-05-05', 'a'), ('2026-06-06', 'b'), ('2026-07-07', 'c');
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.what := upper(NEW.what); RETURN NEW; END';
    CREATE TRIGGER touched BEFORE INSERT ON events_2025 FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE SCHEMA \"Odd \"\"name\"; CREATE TABLE \"Odd \"\"name\".\"T'x\" (i int);
    INSERT INTO \"Odd \"\"name\".\"T'x\" VALUES (1), (2);
    CREATE TABLE parent (i int); CREATE TABLE child () INHERITS (parent);
    INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2), (3);
    CREATE TABLE audit (i int); REVOKE UPDATE, DELETE ON audit FROM yuantus_tenant_app;
    SELECT lo_from_bytea(4711, 'large');";

fn access(fixture: &Fixture, database: &DatabaseName) -> DatabaseAccess {
    fixture.server.access(database, &LaneTag::new("", &fixture.lane_name("dump"), 1))
}

async fn dump(access: &DatabaseAccess, role: &str) -> (Vec<u8>, DumpFacts) {
    let mut dump = Dump::start(access, &Tools::find(), role).await.unwrap();
    let mut bytes = Vec::new();
    dump.take_stdout().unwrap().read_to_end(&mut bytes).await.unwrap();
    (bytes, dump.finish().await.unwrap())
}

/// Loads a dump with what stood beside it.
async fn load(
    access: &DatabaseAccess,
    contents: &Contents,
    reader: impl AsyncRead + Unpin,
) -> Result<Left, Error> {
    Load { access, tools: &Tools::find(), contents: Some(contents) }.load(reader).await
}

async fn target(fixture: &Fixture, what: &str) -> DatabaseName {
    let name = fixture.name(what);
    fixture.lane(what).await.create_blank(&name, &marker(Kind::Restore)).await.unwrap();
    name
}

fn rows_of(tables: &[TableRows], table: &str) -> Option<i64> {
    tables.iter().find(|found| found.table == table).map(|found| found.rows)
}

#[tokio::test]
async fn an_archive_restores_every_kind_of_object_and_every_right() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    run(&mut source.connect().await.unwrap(), EVERYTHING).await.unwrap();
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "SELECT lo_from_bytea(4712, 'own')").await.unwrap();

    let (bytes, facts) = dump(&source, &assignment.role).await;
    assert_eq!(rows_of(&facts.tables, "people"), Some(1000));
    assert_eq!(rows_of(&facts.tables, "events_2026"), Some(2));
    assert_eq!(rows_of(&facts.tables, "T'x"), Some(2));
    assert_eq!(rows_of(&facts.tables, "parent"), Some(1));
    for uncounted in ["events", "good", "total"] {
        assert_eq!(rows_of(&facts.tables, uncounted), None, "{uncounted}");
    }

    let restored = target(&fixture, "restored").await;
    let target = access(&fixture, &restored);
    // For another org, whose role is not there yet.
    let other = fixture.assignment("restored-org").role;
    fixture.lane("restored-org").await.make_role(&other).await.unwrap();
    let contents = facts.contents.for_role(&other);
    let left = load(&target, &contents, bytes.as_slice()).await.unwrap();
    assert_eq!(left, Left::default());
    assert_eq!(count_tables(&target).await.unwrap(), facts.tables);
    check_objects(&target).await;
    check_rights(&fixture, &restored).await;

    // What was restored can be dumped and restored again.
    let (bytes, again) = dump(&target, &other).await;
    assert_eq!(again.tables, facts.tables);
    assert_eq!(again.contents.owners, contents.owners);
    assert_eq!(again.contents.rights, contents.rights);
    assert_eq!(again.contents.defaults, contents.defaults);
    let second = self::target(&fixture, "second").await;
    let second = access(&fixture, &second);
    load(&second, &facts.contents, bytes.as_slice()).await.unwrap();
}

async fn check_objects(target: &DatabaseAccess) {
    let mut owner = target.connect().await.unwrap();
    let rows = run(
        &mut owner,
        "INSERT INTO events VALUES ('2025-01-02', 'lower'); \
         INSERT INTO people (name) VALUES ('next'); \
         SELECT what FROM events WHERE at = '2025-01-02'; \
         SELECT concat(n, nextval('counter'), (SELECT max(id) FROM people)) FROM total; \
         SELECT convert_from(lo_get(4711), 'UTF8'); \
         SELECT obj_description(oid) FROM pg_extension WHERE extname = 'pgcrypto'; \
         SELECT obj_description('public'::regnamespace); \
         SELECT string_agg(DISTINCT pg_get_userbyid(relowner), ',') FROM pg_class \
           WHERE relnamespace = 'public'::regnamespace; ",
    )
    .await
    .unwrap();
    let texts: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let expected = ["LOWER", "1000431001", "large", "ours", "changed", "yuantus_tenant_owner"];
    assert_eq!(texts, expected);
}

/// As a tenant to whom the restored database was given.
async fn check_rights(fixture: &Fixture, restored: &DatabaseName) {
    let assignment = fixture.assignment("restored-org");
    let mut lane = fixture.lane("restored-org").await;
    lane.swap(restored, &assignment, &fixture.name("unused")).await.unwrap();
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "INSERT INTO people (name) VALUES ('x'); INSERT INTO audit VALUES (1)")
        .await
        .unwrap();
    run(&mut tenant, "SELECT lo_put(4712, 0, 'mine'); SELECT * FROM total").await.unwrap();
    for revoked in [
        "SELECT lo_get(4711)",
        "DELETE FROM audit",
        "UPDATE audit SET i = 2",
        "CREATE TABLE t (i int)",
    ] {
        run(&mut tenant, revoked).await.expect_err(revoked);
    }
    let access = access(fixture, &assignment.database);
    run(&mut access.connect().await.unwrap(), "CREATE TABLE later (i int)").await.unwrap();
    run(&mut tenant, "INSERT INTO later VALUES (1)").await.unwrap();
    drop(tenant);
    // Back to its name, for what follows.
    let sql =
        format!("ALTER DATABASE \"{}\" RENAME TO \"{restored}\"; SELECT 1", assignment.database);
    let ended = format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{}'",
        assignment.database
    );
    let _: i64 = fixture.ask(&ended).await;
    let drop_later = "DROP TABLE later; DELETE FROM people WHERE name IN ('x', 'next'); \
         DELETE FROM events WHERE at = '2025-01-02'; DELETE FROM audit";
    let _: i32 = fixture.ask(&sql).await;
    let access = self::access(fixture, restored);
    run(&mut access.connect().await.unwrap(), drop_later).await.unwrap();
}

#[tokio::test]
async fn an_administrator_need_not_be_a_superuser() {
    let fixture = Fixture::without_superuser().await;
    let template = fixture.template().await;
    let mut assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    run(&mut source.connect().await.unwrap(), "CREATE EXTENSION pgcrypto").await.unwrap();
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "INSERT INTO notes (text) VALUES ('kept')").await.unwrap();
    let (bytes, facts) = dump(&source, &assignment.role).await;

    let restored = target(&fixture, "restored").await;
    let into = access(&fixture, &restored);
    load(&into, &facts.contents, bytes.as_slice()).await.unwrap();
    assert_eq!(count_tables(&into).await.unwrap(), facts.tables);
    assignment.marker.operation = Some("restore".to_owned());
    let mut lane = fixture.lane("org").await;
    let tombstone = fixture.name("tombstone");
    lane.swap(&restored, &assignment, &tombstone).await.unwrap();
    fixture.log_in(&assignment, &assignment.database).await.unwrap();
    for (database, kind) in [
        (&assignment.database, Kind::Tenant),
        (&tombstone, Kind::Tombstone),
        (&template, Kind::Template),
    ] {
        lane.drop_database(database, crate::fixture::PLANE, kind).await.unwrap();
    }
    lane.drop_role(&assignment.role).await.unwrap();
}

#[tokio::test]
async fn rows_are_counted_in_the_snapshot_that_is_dumped() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    let mut writer = source.connect().await.unwrap();
    run(&mut writer, "INSERT INTO notes (text) SELECT 'x' FROM generate_series(1, 100)")
        .await
        .unwrap();
    let mut dump = Dump::start(&source, &Tools::find(), &assignment.role).await.unwrap();
    run(&mut writer, "INSERT INTO notes (text) SELECT 'late' FROM generate_series(1, 100)")
        .await
        .unwrap();
    let mut reader = dump.take_reader().unwrap().unwrap();
    let read = move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await.unwrap().unwrap();
    let facts = dump.finish().await.unwrap();
    assert_eq!(rows_of(&facts.tables, "notes"), Some(100));
    let restored = target(&fixture, "restored").await;
    let restored = access(&fixture, &restored);
    load(&restored, &facts.contents, bytes.as_slice()).await.unwrap();
    assert_eq!(count_tables(&restored).await.unwrap(), facts.tables);
}

#[tokio::test]
async fn a_dropped_dump_leaves_no_session_behind() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    let mut writer = source.connect().await.unwrap();
    run(
        &mut writer,
        "INSERT INTO notes (text) SELECT repeat('x', 1000) FROM generate_series(1, 20000)",
    )
    .await
    .unwrap();
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}'",
        source.tag()
    );
    drop(writer);
    // Nobody reads: the child waits in the middle of the table.
    let dump = Dump::start(&source, &Tools::find(), &assignment.role).await.unwrap();
    assert!(fixture.ask::<i64>(&sessions).await > 0);
    drop(dump);
    let gone = async { while fixture.ask::<i64>(&sessions).await > 0 {} };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.unwrap();
}

#[tokio::test]
async fn a_dump_whose_session_is_ended_fails_and_may_be_tried_again() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    let mut writer = source.connect().await.unwrap();
    run(
        &mut writer,
        "INSERT INTO notes (text) SELECT repeat('x', 1000) FROM generate_series(1, 20000)",
    )
    .await
    .unwrap();
    let mut dump = Dump::start(&source, &Tools::find(), &assignment.role).await.unwrap();
    let mut stdout = dump.take_stdout().unwrap();
    let mut start = vec![0; 100_000];
    stdout.read_exact(&mut start).await.unwrap();
    // A successor takes the lane while the child is in the middle of a table.
    let lane = fixture.server.open_lane(&fixture.lane_name("dump"), 2).await.unwrap();
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
    let error = dump.finish().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    // What the server said last arrives before the end of the connection, or not.
    let cut_off = ["server closed the connection", "terminating connection"];
    assert!(cut_off.iter().any(|words| error.to_string().contains(words)), "{error}");
    assert!(!error.to_string().contains(fixture.url().password().unwrap()));
    lane.close().await;
}

#[tokio::test]
async fn a_damaged_archive_is_an_error_and_so_is_a_reader_that_fails() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let (bytes, facts) = dump(&access(&fixture, &assignment.database), &assignment.role).await;
    let load = async |into: &DatabaseAccess, reader: &mut (dyn AsyncRead + Unpin)| {
        load(into, &facts.contents, reader).await.unwrap_err()
    };
    let one = access(&fixture, &target(&fixture, "one").await);
    let error = load(&one, &mut &bytes[..bytes.len() / 2]).await;
    assert!(matches!(error, Error::Child { .. }), "{error}");
    assert!(!error.is_transient(), "{error}");

    let two = access(&fixture, &target(&fixture, "two").await);
    let error = load(&two, &mut &b"no archive"[..]).await;
    assert!(matches!(error, Error::Child { .. }), "{error}");

    let three = access(&fixture, &target(&fixture, "three").await);
    let error = load(&three, &mut Broken).await;
    assert!(matches!(error, Error::Input { .. }), "{error}");
}

/// A reader whose source went away.
struct Broken;

impl tokio::io::AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()))
    }
}

#[tokio::test]
async fn a_dump_with_nothing_beside_it_is_loaded_as_its_archive_says() {
    let fixture = Fixture::new().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    let sql = "INSERT INTO notes (text) VALUES ('kept')";
    run(&mut source.connect().await.unwrap(), sql).await.unwrap();
    let (bytes, facts) = dump(&source, &assignment.role).await;
    let into = access(&fixture, &target(&fixture, "former").await);
    let load = Load { access: &into, tools: &Tools::find(), contents: None };
    assert_eq!(load.load(bytes.as_slice()).await.unwrap(), Left::default());
    assert_eq!(count_tables(&into).await.unwrap(), facts.tables);
    let sql = "SELECT has_table_privilege('yuantus_tenant_app', 'notes', 'INSERT')";
    let rows = run(&mut into.connect().await.unwrap(), sql).await.unwrap();
    assert!(rows[0].get::<bool, _>(0));
}

#[tokio::test]
async fn a_tenant_has_its_large_objects_back_whole() {
    let fixture = Fixture::without_superuser().await;
    let template = fixture.template().await;
    let assignment = fixture.assigned(&template, "org").await;
    let source = access(&fixture, &assignment.database);
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "SELECT lo_from_bytea(4713, 'own')").await.unwrap();
    let (bytes, facts) = dump(&source, &assignment.role).await;
    let restored = target(&fixture, "restored").await;
    let into = access(&fixture, &restored);
    assert_eq!(load(&into, &facts.contents, bytes.as_slice()).await.unwrap(), Left::default());
    let mut assignment = assignment;
    assignment.marker.operation = Some("restore".to_owned());
    let mut lane = fixture.lane("org").await;
    lane.swap(&restored, &assignment, &fixture.name("tombstone")).await.unwrap();
    let mut tenant = fixture.log_in(&assignment, &assignment.database).await.unwrap();
    run(&mut tenant, "SELECT lo_put(4713, 0, 'mine'); SELECT lo_unlink(4713)").await.unwrap();
}
