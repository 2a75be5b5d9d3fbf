//! Migrating real databases: what is applied, what is refused and what is
//! mended.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::sync::{Arc, Mutex};

use sqlx::Connection;
use support::with_database;
use yuantus_tenant_schema::{Bundle, Error, Report, migrate, status};

const TABLES: &str = "SELECT string_agg(tablename, ' ' ORDER BY tablename)
                      FROM pg_tables WHERE schemaname = 'public'";

#[test]
fn migrations_of_an_empty_database_are_applied_once_and_then_nothing() {
    with_database(async |fixture| {
        let bundle = Bundle::builtin();
        let before = status(&bundle, &fixture.access).await.unwrap();
        assert_eq!((before.revision, before.pending), (0, vec![1, 2, 3]));
        let seen = Mutex::new(Vec::new());
        let progress = |done, total| seen.lock().unwrap().push((done, total));
        let first = migrate(&bundle, &fixture.access, &progress).await.unwrap();
        assert_eq!(first, Report { from: 0, to: 3, applied: vec![1, 2, 3] });
        assert_eq!(seen.into_inner().unwrap(), [(0, 3), (1, 3), (2, 3), (3, 3)]);
        let again = migrate(&bundle, &fixture.access, &|_, _| {}).await.unwrap();
        assert_eq!(again, Report { from: 3, to: 3, applied: vec![] });
        let after = status(&bundle, &fixture.access).await.unwrap();
        assert_eq!((after.revision, after.pending), (3, vec![]));
        assert_eq!(fixture.ask(TABLES).await, "customers files settings");
    });
}

#[test]
fn a_type_of_the_same_name_in_public_is_in_nobodys_way() {
    with_database(async |fixture| {
        fixture.run("CREATE TYPE public.cashiershiftstatus AS ENUM ('open')").await;
        let text = "CREATE SCHEMA crm;
            CREATE TYPE crm.cashiershiftstatus AS ENUM ('open', 'closed');
            CREATE TABLE crm.shifts (id int PRIMARY KEY, status crm.cashiershiftstatus NOT NULL);";
        fixture.file("1_shifts.sql", text);
        assert_eq!(fixture.migrate().await.unwrap().applied, [1]);
        assert!(fixture.migrate().await.unwrap().applied.is_empty());
        let types = "SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_type t
            JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'cashiershiftstatus'";
        assert_eq!(fixture.ask(types).await, "crm public");
    });
}

#[test]
fn objects_belong_to_the_owner_role_and_tenants_cannot_touch_the_history() {
    with_database(async |fixture| {
        migrate(&Bundle::builtin(), &fixture.access, &|_, _| {}).await.unwrap();
        let owners = "SELECT string_agg(DISTINCT tableowner, ' ') FROM pg_tables
            WHERE schemaname IN ('public', 'yuantus_schema')";
        assert_eq!(fixture.ask(owners).await, "yuantus_tenant_owner");
        let rights = "SELECT concat_ws(' ',
            has_table_privilege('yuantus_tenant_app', 'customers', 'INSERT'),
            has_schema_privilege('yuantus_tenant_app', 'yuantus_schema', 'USAGE'),
            has_table_privilege('yuantus_tenant_app', 'yuantus_schema.migrations', 'INSERT'))";
        assert_eq!(fixture.ask(rights).await, "t f f");
    });
}

#[test]
fn bad_sql_is_named_with_file_and_line_and_leaves_nothing_of_it() {
    with_database(async |fixture| {
        fixture.file("1_a.sql", "CREATE TABLE a (id int);");
        fixture.file("2_b.sql", "CREATE TABLE b (id int);\n\n-- é\nCREATE TABEL c (id int);\n");
        let (error, shown) = fixture.refused().await;
        assert!(shown.starts_with("2_b.sql:4: apply migration to database test_"), "{shown}");
        assert!(shown.contains("syntax error at or near \"TABEL\" (SQLSTATE 42601)"), "{shown}");
        assert!(!error.is_transient());
        assert_eq!(fixture.ask(TABLES).await, "a");
        fixture.file("2_b.sql", "CREATE TABLE b (id int);");
        assert_eq!(fixture.migrate().await.unwrap(), Report { from: 1, to: 2, applied: vec![2] });
    });
}

#[test]
fn an_error_without_a_position_is_named_with_the_line_of_its_statement() {
    with_database(async |fixture| {
        let text = "CREATE TABLE a (id int);\nSELECT ';';\n\nCREATE TABLE\n  a (id int);";
        let (_, shown) = fixture.file("1_a.sql", text).refused().await;
        assert!(shown.starts_with("1_a.sql:4: "), "{shown}");
    });
}

#[test]
fn an_applied_migration_may_not_change_vanish_or_get_an_elder() {
    with_database(async |fixture| {
        fixture.file("20240101_a.sql", "SELECT 1;").file("20240301_c.sql", "SELECT 3;");
        fixture.migrate().await.unwrap();
        fixture.file("20240201_b.sql", "SELECT 2;");
        let (error, shown) = fixture.refused().await;
        assert!(matches!(error, Error::OutOfOrder { applied: 20240301, .. }), "{shown}");
        std::fs::remove_file(fixture.directory.path().join("20240201_b.sql")).unwrap();
        fixture.file("20240101_a.sql", "SELECT 10;");
        let (error, shown) = fixture.refused().await;
        assert!(
            matches!(&error, Error::ChecksumChanged { file, .. } if file == "20240101_a.sql"),
            "{shown}"
        );
        std::fs::remove_file(fixture.directory.path().join("20240101_a.sql")).unwrap();
        let (error, shown) = fixture.refused().await;
        assert!(matches!(error, Error::NotInBundle { version: 20240101, .. }), "{shown}");
        let bundle = Bundle::load(fixture.directory.path()).unwrap();
        assert!(status(&bundle, &fixture.access).await.is_err());
    });
}

#[test]
fn a_check_that_objects_takes_the_migration_back() {
    with_database(async |fixture| {
        fixture.file("1_a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1), (2);");
        for (check, expected) in [
            ("SELECT true;\n\nSELECT id FROM a;", "1_a.check.sql:3: check failed on database"),
            ("SELECT count(*) = 3 FROM a", "it answered false"),
            ("SELECT sum(id) > 5 FROM a WHERE id > 5", "it answered null"),
            ("SELECT id FROM a WHERE id = 1", "it answered a row"),
            ("SELECT\n missing FROM a", "1_a.check.sql:2: check migration of database"),
            (
                "WITH gone AS (DELETE FROM a RETURNING id) SELECT 1 FROM gone",
                "read-only transaction",
            ),
        ] {
            let (_, shown) = fixture.file("1_a.check.sql", check).refused().await;
            assert!(shown.contains(expected), "{check}: {shown}");
            assert_eq!(fixture.ask(TABLES).await, "", "{check}");
        }
        fixture.file("1_a.check.sql", "SELECT count(*) = 2 FROM a; SELECT 1 FROM a WHERE id > 2;");
        assert_eq!(fixture.migrate().await.unwrap().applied, [1]);
    });
}

#[test]
fn one_migrations_settings_are_not_the_nexts() {
    with_database(async |fixture| {
        fixture.file(
            "1_a.sql",
            "CREATE SCHEMA app; SELECT set_config('search_path', '', false);
            SET TIME ZONE 'Asia/Tokyo'; CREATE TEMP TABLE t (id int);",
        );
        fixture.file(
            "2_b.sql",
            "BEGIN;\nSET LOCAL search_path = app;\nCREATE TABLE b (id int);\nCOMMIT;\n",
        );
        fixture.file("3_c.sql", "CREATE TABLE c (id int); CREATE TEMP TABLE t (id int);");
        fixture.file("3_c.check.sql", "SELECT to_regclass('c') = 'public.c'::regclass");
        assert_eq!(fixture.migrate().await.unwrap().to, 3);
        assert_eq!(fixture.ask(TABLES).await, "c");
    });
}

/// Nobody sees it in the file; the role is asked for before it is committed.
#[test]
fn a_function_that_makes_the_session_act_as_another_role_is_taken_back() {
    with_database(async |fixture| {
        let text = "CREATE TABLE a (id int);
            CREATE FUNCTION leave() RETURNS void LANGUAGE plpgsql
            AS $$ BEGIN PERFORM set_config('role', 'none', true); END $$;
            SELECT leave(); CREATE TABLE b (id int);";
        fixture.file("1_a.sql", text);
        let (error, shown) = fixture.refused().await;
        assert!(matches!(error, Error::RoleChanged { .. }), "{shown}");
        assert!(shown.contains("instead of yuantus_tenant_owner"), "{shown}");
        assert_eq!(fixture.ask(TABLES).await, "");
        fixture.file("1_a.sql", &text.replace("SELECT leave();", ""));
        assert_eq!(fixture.migrate().await.unwrap().applied, [1]);
    });
}

#[test]
fn an_index_that_failed_is_dropped_and_made_again() {
    with_database(async |fixture| {
        fixture.file("1_a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1);");
        fixture
            .file("2_i.sql", "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY a_id ON a (id);");
        let (_, shown) = fixture.refused().await;
        assert!(shown.starts_with("2_i.sql:2: apply migration"), "{shown}");
        let indexes = "SELECT string_agg(relname || indisvalid, ' ') FROM pg_index
            JOIN pg_class ON pg_class.oid = indexrelid WHERE relname LIKE 'a\\_id%'";
        assert_eq!(fixture.ask(indexes).await, "");
        fixture.run("DELETE FROM a").await;
        assert_eq!(fixture.migrate().await.unwrap(), Report { from: 1, to: 2, applied: vec![2] });
        assert_eq!(fixture.ask(indexes).await, "a_idtrue");
    });
}

#[test]
fn work_done_before_it_could_be_recorded_is_taken_for_done() {
    with_database(async |fixture| {
        fixture.file("1_a.sql", "CREATE TABLE a (id int);");
        fixture.migrate().await.unwrap();
        fixture.file("2_i.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id);");
        fixture.migrate().await.unwrap();
        // As a worker leaves it that dies between the index and the record.
        fixture
            .run("UPDATE yuantus_schema.migrations SET applied_at = NULL WHERE version = 2")
            .await;
        assert_eq!(fixture.migrate().await.unwrap(), Report { from: 1, to: 2, applied: vec![2] });
        // An index that was there before is somebody else's: refused.
        fixture.run("CREATE INDEX b_id ON a (id)").await;
        fixture.file("3_j.sql", "CREATE INDEX CONCURRENTLY b_id ON a (id);");
        for _ in 0..2 {
            let (_, shown) = fixture.refused().await;
            assert!(shown.contains("already exists"), "{shown}");
        }
    });
}

#[test]
fn tables_in_use_are_waited_for() {
    with_database(async |fixture| {
        fixture.file("1_a.sql", "CREATE TABLE a (id int);");
        fixture.migrate().await.unwrap();
        fixture.file("2_b.sql", "ALTER TABLE a ADD COLUMN b int;");
        let mut holder = fixture.session().await;
        sqlx::raw_sql("BEGIN; LOCK TABLE a").execute(&mut holder).await.unwrap();
        let waiting =
            "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass";
        let release = async {
            let mut observer = fixture.session().await;
            while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut observer).await.unwrap() == 0
            {
            }
            holder.close().await.unwrap();
        };
        let (report, ()) = tokio::join!(fixture.migrate(), release);
        assert_eq!(report.unwrap().applied, [2]);
    });
}

#[test]
fn two_at_once_apply_each_migration_once() {
    with_database(async |fixture| {
        let bundle = Arc::new(Bundle::builtin());
        let runs = (0..4).map(|_| {
            let (bundle, access) = (bundle.clone(), fixture.access.clone());
            tokio::spawn(
                async move { migrate(&bundle, &access, &|_, _| {}).await.unwrap().applied },
            )
        });
        let mut applied = Vec::new();
        for run in runs.collect::<Vec<_>>() {
            applied.extend(run.await.unwrap());
        }
        applied.sort_unstable();
        assert_eq!(applied, [1, 2, 3]);
    });
}

#[test]
fn flyway_and_golang_migrate_bundles_are_applied_in_order() {
    with_database(async |fixture| {
        fixture.file("V1__base.sql", "CREATE TABLE t (id int);");
        fixture.file(
            "V1.10__later.sql",
            "ALTER TABLE t ADD COLUMN c int GENERATED ALWAYS AS (b) STORED;",
        );
        fixture.file("V1.2__earlier.sql", "ALTER TABLE t ADD COLUMN b int;");
        fixture.file("U1__base.sql", "DROP TABLE t;");
        assert_eq!(fixture.migrate().await.unwrap().applied.len(), 3);
    });
    with_database(async |fixture| {
        fixture.file("000001_a.up.sql", "BEGIN;\nCREATE TABLE a (id int);\nCOMMIT;");
        fixture.file("000001_a.down.sql", "DROP TABLE a;");
        fixture.file("000002_b.up.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id);");
        assert_eq!(fixture.migrate().await.unwrap().applied, [1, 2]);
    });
}

#[test]
fn a_server_that_is_away_is_transient() {
    with_database(async |fixture| {
        let nowhere = url::Url::parse("postgresql://u:p@127.0.0.1:1/postgres").unwrap();
        let server = yuantus_postgres::Server::new(&nowhere).unwrap();
        let access = server.access(fixture.access.database(), fixture.access.tag());
        let error = migrate(&Bundle::builtin(), &access, &|_, _| {}).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }) && error.is_transient(), "{error}");
    });
}
