//! Whatever is in an org's database, whoever made it, and whoever administers
//! the server: the backup is restored equal, in place and elsewhere, or it is
//! refused when it is made, with what to do about it.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use yuantus_postgres::Tools;
use yuantus_proto::v1::operation::State;
use yuantus_test_support::{Api, TestEnv, backup_id, path, run};

use crate::{
    settle::settle,
    tidy::assert_tidy,
    world::{database, fill, fingerprint, run_as_owner},
};

/// Who makes a thing in an org's database.
#[derive(Clone, Copy, Debug)]
enum Maker {
    /// The role that the org logs in as.
    Org,
    /// The role that migrations run as.
    Owner,
    /// The server's superuser.
    Superuser,
}

/// What becomes of a backup.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is restored equal.
    Restored,
    /// It is restored equal but for what the operation warns of.
    Warned(&'static str),
    /// It fails with this reason, and says all of these.
    Refused(&'static str, &'static [&'static str]),
}

use Maker::{Org, Owner, Superuser};
use Outcome::{Refused, Restored, Warned};

/// A row of the matrix.
struct Case {
    what: &'static str,
    maker: Maker,
    /// `{database}` and `{role}` are the org's.
    sql: &'static str,
    /// What the superuser does between backup and restore.
    then: &'static str,
    /// Where the administrator is a superuser.
    superuser: Outcome,
    /// Where it has CREATEDB, CREATEROLE and `pg_signal_backend` only.
    limited: Outcome,
}

const LACKS: &str = "ADMINISTRATOR_LACKS_RIGHTS";
const NOT_RESTORABLE: &str = "BACKUP_NOT_RESTORABLE";

/// A function that finds its table by the search path, in a table that is
/// loaded before the one it looks into.
const LOOKS_UP: &str = "CREATE TABLE lk (i int); INSERT INTO lk VALUES (1), (2);
    CREATE FUNCTION okk(int) RETURNS bool LANGUAGE sql STABLE
        AS 'SELECT EXISTS (SELECT 1 FROM lk WHERE i = $1)';
    CREATE TABLE ck2 (i int CONSTRAINT looks_up CHECK (okk(i)));
    COMMENT ON CONSTRAINT looks_up ON ck2 IS 'into lk';
    INSERT INTO ck2 VALUES (1), (2);
    CREATE TABLE ck1 (i int, CHECK (okk(i))) PARTITION BY RANGE (i);
    CREATE TABLE ck1_low PARTITION OF ck1 FOR VALUES FROM (0) TO (10);
    INSERT INTO ck1 VALUES (2);
    CREATE DOMAIN known AS int CONSTRAINT is_known CHECK (okk(VALUE));
    CREATE TABLE dk (i known); INSERT INTO dk VALUES (2)";

const COMPUTES: &str = "CREATE TABLE lk (i int); INSERT INTO lk VALUES (1), (2);
    CREATE FUNCTION rank_of(int) RETURNS int LANGUAGE sql IMMUTABLE
        AS 'SELECT count(*)::int FROM lk WHERE i < $1';
    CREATE TABLE au (i int); INSERT INTO au VALUES (1), (2); CREATE INDEX ON au (rank_of(i));
    CREATE MATERIALIZED VIEW ranks AS SELECT rank_of(i) FROM au;
    CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
    CREATE INDEX ON au (twice(i));
    CREATE SCHEMA hidden; CREATE TABLE hidden.deep (i int);
    CREATE FUNCTION hidden.deeper() RETURNS bigint LANGUAGE plpgsql
        AS 'BEGIN RETURN (SELECT count(*) FROM deep); END';
    SET search_path = hidden, public;
    CREATE MATERIALIZED VIEW hidden.deepest AS SELECT hidden.deeper()";

const FOREIGN: &str = "CREATE EXTENSION postgres_fdw;
    CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'nowhere');
    GRANT USAGE ON FOREIGN SERVER away TO yuantus_tenant_owner;
    CREATE USER MAPPING FOR yuantus_tenant_owner SERVER away OPTIONS (user 'x');
    SET ROLE yuantus_tenant_owner;
    CREATE FOREIGN TABLE far (i int) SERVER away";

const EVENT_TRIGGER: &str = "CREATE FUNCTION no_drops() RETURNS event_trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE EXCEPTION ''nothing is changed here''; END';
    CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION no_drops();
    COMMENT ON EVENT TRIGGER frozen IS 'so it is'";

const RIGHTS: &str = "REVOKE ALL ON parts FROM yuantus_tenant_app;
    GRANT SELECT (id), UPDATE (name) ON parts TO reporter; GRANT SELECT ON parts TO \"{role}\";
    CREATE FUNCTION quiet() RETURNS int LANGUAGE sql AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION quiet() FROM PUBLIC;
    CREATE TYPE mood AS ENUM ('good'); REVOKE USAGE ON TYPE mood FROM PUBLIC;
    CREATE SEQUENCE numbers; GRANT USAGE ON SEQUENCE numbers TO reporter;
    CREATE SCHEMA \"Odd name\"; GRANT CREATE ON SCHEMA \"Odd name\" TO reporter;
    ALTER DEFAULT PRIVILEGES IN SCHEMA \"Odd name\" GRANT SELECT ON TABLES TO reporter;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC";

const SETTINGS: &str = "ALTER DATABASE \"{database}\" SET work_mem = '64MB';
    ALTER DATABASE \"{database}\" SET search_path = \"$user\", public, pg_temp;
    ALTER DATABASE \"{database}\" CONNECTION LIMIT 7;
    ALTER ROLE \"{role}\" IN DATABASE \"{database}\" SET statement_timeout = '5s';
    ALTER ROLE reporter IN DATABASE \"{database}\" SET lock_timeout = '3s';
    GRANT CONNECT ON DATABASE \"{database}\" TO reporter";

const POLICIES: &str = "CREATE TABLE own (i int, who text); INSERT INTO own VALUES (1, 'x');
    CREATE FUNCTION sees(text) RETURNS bool LANGUAGE sql STABLE AS 'SELECT $1 = $$x$$';
    CREATE POLICY few ON own FOR SELECT TO \"{role}\", reporter USING (sees(who));
    CREATE POLICY fewer ON own AS RESTRICTIVE TO reporter USING (i > 0) WITH CHECK (i > 1);
    CREATE POLICY for_all ON own USING (true); COMMENT ON POLICY few ON own IS 'x';
    ALTER TABLE own ENABLE ROW LEVEL SECURITY";

/// Whatever differs.
const CASES: &[Case] = &[
    both("default privileges for all", Org, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC"),
    both("a large object", Org, "SELECT lo_from_bytea(0, '\\x010203')"),
    both("checks that look into other tables", Owner, LOOKS_UP),
    both("an index and a view that call functions", Owner, COMPUTES),
    both("rights of all kinds", Owner, RIGHTS),
    both("policies for some roles", Owner, POLICIES),
    both("a publication of one table", Owner, "CREATE PUBLICATION own FOR TABLE parts"),
    both("a trusted extension", Owner, "CREATE EXTENSION pgcrypto"),
    both("what the database sets", Superuser, SETTINGS),
    Case {
        // What is kept of it is for nobody who logs in.
        then: "DROP POLICY theirs ON parts; DROP ROLE departed;
            CREATE POLICY theirs ON parts TO yuantus_tenant_owner USING (id > 0)",
        superuser: Warned("role `departed` does not exist: policy theirs on public.parts"),
        limited: Warned("role `departed` does not exist: policy theirs on public.parts"),
        ..both(
            "a policy for a role that goes",
            Owner,
            "CREATE POLICY theirs ON parts TO departed USING (id > 0)",
        )
    },
    Case {
        then: "DROP OWNED BY gone; DROP ROLE gone",
        superuser: Warned("role `gone` does not exist"),
        limited: Warned("role `gone` does not exist"),
        ..both("a right of a role that goes", Owner, "GRANT SELECT ON parts TO gone")
    },
    Case {
        limited: Refused(LACKS, &["secret", "BYPASSRLS"]),
        ..both(
            "row-level security that is forced",
            Owner,
            "CREATE TABLE secret (i int); INSERT INTO secret VALUES (1);
             ALTER TABLE secret ENABLE ROW LEVEL SECURITY; ALTER TABLE secret FORCE ROW LEVEL SECURITY",
        )
    },
    Case {
        limited: Refused(LACKS, &["closed", "GRANT SELECT"]),
        ..both(
            "a table that nobody may read",
            Owner,
            "CREATE TABLE closed (i int); INSERT INTO closed VALUES (1);
             REVOKE ALL ON closed FROM yuantus_tenant_owner, yuantus_tenant_app",
        )
    },
    Case {
        limited: Refused(LACKS, &["table public.theirs", "OWNER TO yuantus_tenant_owner"]),
        ..both(
            "a table of the superuser",
            Superuser,
            "CREATE TABLE theirs (id serial); INSERT INTO theirs DEFAULT VALUES;
             GRANT SELECT ON theirs TO yuantus_tenant_app",
        )
    },
    Case {
        limited: Refused(LACKS, &["function public.above", "\"postgres\""]),
        ..both(
            "a function of the superuser",
            Superuser,
            "CREATE FUNCTION above() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT 1::text';
             GRANT EXECUTE ON FUNCTION above() TO reporter",
        )
    },
    Case {
        limited: Refused(LACKS, &["server away", "\"postgres\""]),
        ..both("a foreign table", Superuser, FOREIGN)
    },
    Case {
        limited: Refused(NOT_RESTORABLE, &["earthdistance", "superuser"]),
        ..both("an extension", Superuser, "CREATE EXTENSION earthdistance CASCADE")
    },
    Case {
        limited: Refused(NOT_RESTORABLE, &["pg_stat_statements", "superuser"]),
        ..both("a server's extension", Superuser, "CREATE EXTENSION pg_stat_statements")
    },
    Case {
        limited: Refused(LACKS, &["event trigger frozen"]),
        ..both("an event trigger", Superuser, EVENT_TRIGGER)
    },
    Case {
        limited: Refused(LACKS, &["publication everything"]),
        ..both("a publication of all tables", Superuser, "CREATE PUBLICATION everything FOR ALL TABLES")
    },
];

const fn both(what: &'static str, maker: Maker, sql: &'static str) -> Case {
    Case { what, maker, sql, then: "", superuser: Restored, limited: Restored }
}

/// All that is compared of a database.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    schema: String,
    rows: BTreeMap<String, (i64, String)>,
    large_objects: String,
    settings: Vec<String>,
}

/// The picture of an org's database; `org` stands where its role and database do.
async fn picture(env: &TestEnv, name: &str) -> Picture {
    let mut identity = env.identity().await;
    let role: String = sqlx::query_scalar("SELECT role FROM databases WHERE name = $1")
        .bind(name)
        .fetch_one(&mut identity)
        .await
        .expect("role");
    let plain = |text: String| text.replace(&role, "org").replace(name, "org");
    let url = env.database_url(name);
    let variables = [
        ("PGHOST", url.host_str().expect("host")),
        ("PGPORT", &url.port().expect("port").to_string()),
        ("PGUSER", url.username()),
        ("PGPASSWORD", url.password().expect("password")),
        ("PATH", &path()),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let program = Tools::find().pg_dump().expect("pg_dump");
    let dumped =
        run(program, &["--schema-only", "--dbname", name], variables, b"").await.succeeded();
    // A random word that psql is to expect.
    let schema = dumped.text().lines().filter(|line| !line.contains("restrict "));
    let schema = plain(schema.collect::<Vec<_>>().join("\n"));
    let mut connection = env.connect(name).await;
    let texts = "SELECT coalesce(string_agg(format('%s %s %s', oid, lomowner::regrole,
        lo_get(oid)), ';' ORDER BY oid), '') FROM pg_largeobject_metadata";
    let large_objects: String =
        sqlx::query_scalar(texts).fetch_one(&mut connection).await.expect("large objects");
    let settings = "SELECT format('limit %s', datconnlimit) FROM pg_database
          WHERE datname = current_database()
        UNION ALL SELECT format('%s sets %s', CASE setrole WHEN 0 THEN 'all' ELSE
            setrole::regrole::text END, v)
          FROM pg_db_role_setting, unnest(setconfig) v WHERE setdatabase =
            (SELECT oid FROM pg_database WHERE datname = current_database())
        UNION ALL SELECT format('%s may %s', grantee::regrole, privilege_type)
          FROM pg_database, aclexplode(datacl) WHERE datname = current_database()
        ORDER BY 1";
    let settings: Vec<String> =
        sqlx::query_scalar(settings).fetch_all(&mut connection).await.expect("settings");
    connection.close().await.expect("close");
    Picture {
        schema,
        rows: fingerprint(env, name).await,
        large_objects: plain(large_objects),
        settings: settings.into_iter().map(plain).collect(),
    }
}

/// Makes what a case says.
async fn make(env: &TestEnv, api: &Api, org: &str, case: &Case) {
    let name = database("acme", org);
    let role: String = sqlx::query_scalar("SELECT role FROM databases WHERE name = $1")
        .bind(&name)
        .fetch_one(&mut env.identity().await)
        .await
        .expect("role");
    let sql = case.sql.replace("{database}", &name).replace("{role}", &role);
    fill(env, &name, 20).await;
    match case.maker {
        Owner => run_as_owner(env, &name, &sql).await,
        Superuser => execute(env.connect(&name).await, &sql).await,
        Org => {
            let url = api.connection("acme", org).await;
            execute(PgConnection::connect(&url).await.expect("connection"), &sql).await;
        }
    }
}

async fn execute(mut connection: PgConnection, sql: &str) {
    connection.execute(AssertSqlSafe(sql.to_owned())).await.expect("statements");
    connection.close().await.expect("close");
}

/// Without what is the plan's of an org, and not its database's.
fn without_timeout(mut picture: Picture) -> Picture {
    picture.settings.retain(|setting| !setting.contains("statement_timeout"));
    picture
}

async fn try_case(env: &TestEnv, api: &Api, org: &str, case: &Case, outcome: Outcome) {
    let (what, name) = (case.what, database("acme", org));
    let operation = api.create_backup("acme", org).await;
    let ended = api.wait(&operation).await;
    if let Refused(reason, says) = outcome {
        assert_eq!(ended.state(), State::Failed, "{what}: {ended:#?}");
        let error = ended.error.expect("error");
        assert_eq!(error.reason, reason, "{what}: {error:?}");
        assert_eq!(ended.attempt, 1, "{what}: it stays so");
        for says in says {
            assert!(error.message.contains(says), "{what}: {} says {says}", error.message);
        }
        return;
    }
    assert_eq!(ended.state(), State::Succeeded, "{what}: {ended:#?}");
    assert!(ended.warnings.is_empty(), "{what}: {ended:#?}");
    if !case.then.is_empty() {
        execute(env.connect(&name).await, case.then).await;
    }
    let before = picture(env, &name).await;
    let drop = "SET session_replication_role = replica; DROP TABLE parts CASCADE;
        DELETE FROM customers";
    execute(env.connect(&name).await, drop).await;
    let restored = api.succeed(&api.restore("acme", org, backup_id(&operation)).await).await;
    check_warnings(case, outcome, &restored.warnings);
    assert_eq!(picture(env, &name).await, before, "{what}, in place");
    let target = ("other", org);
    let elsewhere = api.restore_to("acme", org, backup_id(&operation), target).await;
    check_warnings(case, outcome, &api.succeed(&elsewhere).await.warnings);
    let there = without_timeout(picture(env, &database("other", org)).await);
    assert_eq!(there, without_timeout(before), "{what}, elsewhere");
}

fn check_warnings(case: &Case, outcome: Outcome, warnings: &[String]) {
    match outcome {
        Warned(says) => {
            assert!(warnings.iter().any(|w| w.contains(says)), "{}: {warnings:?}", case.what);
        }
        _ => assert!(warnings.is_empty(), "{}: {warnings:?}", case.what),
    }
}

/// Goes through the cases with workers whose administrator is in `template`.
async fn go_through(env: &TestEnv, more: &[(&str, &str)], outcome: impl Fn(&Case) -> Outcome) {
    let api = env.api_with(more).await;
    let mut worker = env.worker("w", more);
    let roles = "CREATE ROLE reporter; CREATE ROLE gone; CREATE ROLE departed";
    execute(env.connect("postgres").await, roles).await;
    for tenant in ["acme", "other"] {
        api.create_tenant(tenant).await;
    }
    for (number, case) in CASES.iter().enumerate() {
        let org = format!("case-{number}");
        api.succeed(&api.create_org("acme", &org).await).await;
        make(env, &api, &org, case).await;
    }
    for (number, case) in CASES.iter().enumerate() {
        try_case(env, &api, &format!("case-{number}"), case, outcome(case)).await;
    }
    settle(env).await;
    worker.terminate().await;
    assert_tidy(env).await;
}

#[tokio::test]
async fn a_superuser_restores_whatever_was_backed_up() {
    let env = TestEnv::start().await;
    go_through(&env, &[], |case| case.superuser).await;
}

#[tokio::test]
async fn another_administrator_restores_it_or_refuses_to_call_it_a_backup() {
    let env = TestEnv::start().await;
    let role = "CREATE ROLE limited LOGIN CREATEDB CREATEROLE PASSWORD 'limited'
        IN ROLE pg_signal_backend; GRANT CONNECT ON DATABASE postgres TO limited";
    execute(env.connect("postgres").await, role).await;
    let mut url = env.database_url("DATABASE");
    url.set_username("limited").expect("user");
    url.set_password(Some("limited")).expect("password");
    let template = url.as_str().replace("/DATABASE", "/yuantus_mt_pg__{tenant_id}__{org_id}");
    let more = [("YUANTUS_DATABASE_URL_TEMPLATE", &*template)];
    go_through(&env, &more, |case| case.limited).await;
}

/// A dump that has no snapshot to dump, since the session that holds it ended,
/// says why that ended.
#[tokio::test]
async fn what_keeps_rows_from_being_counted_is_said() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    // A table whose file is gone can be locked and described, not read.
    let sql = "CREATE TABLE lost AS SELECT generate_series(1, 1000); CHECKPOINT";
    execute(env.connect(&name).await, sql).await;
    let file = "SELECT pg_relation_filepath('lost')";
    let row = env.connect(&name).await.fetch_one(file).await.expect("file");
    let file: String = row.get(0);
    let data = env.dir().join("postgres").join("pgdata").join(file);
    std::fs::remove_file(&data).expect("the table's file");
    let ended = api.wait(&api.create_backup("acme", "hq").await).await;
    let error = ended.error.expect("error");
    assert!(error.message.contains("could not open file"), "{error:?}");
    assert!(!error.message.contains("snapshot"), "{error:?}");
    execute(env.connect(&name).await, "SET client_min_messages = error; DROP TABLE lost").await;
    settle(&env).await;
    assert_tidy(&env).await;
}
