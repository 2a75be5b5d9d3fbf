//! A database worth backing up: numbers and prose, as `pgbench` and a ticket
//! system would leave them.

use sqlx::{Connection, Executor};
use yuantus_test_support::TestEnv;

use crate::Result;

const TABLES: &str = "
SET ROLE yuantus_tenant_owner;
CREATE TABLE accounts (id bigint PRIMARY KEY, branch int, balance int, filler char(84));
CREATE TABLE tickets (id bigint PRIMARY KEY, account bigint, opened timestamptz, price numeric,
    title text, body text, labels jsonb);
CREATE INDEX tickets_account ON tickets (account);";

/// A part of both tables; numbers are spread by a hash, so that every run has
/// the same.
const PART: &str = "
INSERT INTO accounts
SELECT $1 * 20000 + n, n % 97, hashint4($1::int * 20000 + n) % 100000, ''
FROM generate_series(1, 20000) n";
const TICKETS: &str = "
INSERT INTO tickets
SELECT $1 * 8000 + n, abs(hashint4(n)) % 1000000, '2026-01-01'::timestamptz + n * interval '7 s',
    (abs(hashint4(n + $1::int)) % 1000000) / 100.0, 'Ticket ' || md5(($1 * 8000 + n)::text),
    'The customer says: ' || repeat('it has been slow since ' || n % 31 || ' o''clock. ', n % 5)
        || md5(n::text || 'a' || $1) || md5(n::text || 'b' || $1),
    jsonb_build_object('priority', n % 4, 'team', 'team-' || n % 13)
FROM generate_series(1, 8000) n";

/// Fills the database until it has `bytes` bytes.
pub(crate) async fn fill(env: &TestEnv, database: &str, bytes: i64) -> Result<()> {
    let mut connection = env.connect(database).await;
    connection.execute(TABLES).await?;
    let mut size = 0;
    let mut part = 0_i64;
    while size < bytes {
        for sql in [PART, TICKETS] {
            sqlx::query(sql).bind(part).execute(&mut connection).await?;
        }
        part += 1;
        size = sqlx::query_scalar("SELECT pg_database_size(current_database())")
            .fetch_one(&mut connection)
            .await?;
    }
    connection.execute("RESET ROLE").await?;
    connection.execute("VACUUM ANALYZE").await?;
    eprintln!("{database} has {} MB", size / 1_000_000);
    Ok(connection.close().await?)
}
