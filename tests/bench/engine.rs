//! Operations per second of the engine, of an operation whose steps do
//! nothing, against a bare queue in a table of the same shape.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use yuantus_config::Config;
use yuantus_domain::OperationType;
use yuantus_identity::query::orphan::Leftover;
use yuantus_operations::{
    CleanUp, Notifier, Outcome, Registry, Run, Settings, Step, StepError, StepResult, Task,
    backoff::Backoff, run_worker,
};

use crate::{
    Result, pool, queue,
    report::{Goal, Measure},
    rounds::Rounds,
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["engine_operations"];

const GOAL: Goal = Goal::AtLeast(0.5);
const KIND: OperationType = OperationType::MigrateDatabase;
const STEPS: &[&str] = KIND.steps();
const FIRST: Idle = Idle(STEPS[0]);

const FILL: &str = "
INSERT INTO operations (id, type, tenant_id, org_id, lane, input, target, scope, request_hash,
    actor, steps, max_attempts)
SELECT gen_random_uuid(), $1, 'bench', 'org-' || n, 'bench/org-' || n, '{}',
    'tenants/bench/orgs/org-' || n, 'tenants/bench', sha256(n::text::bytea), 'bench', $2, 8
FROM generate_series(1, $3) n";

/// A step that does nothing.
struct Idle(&'static str);

#[async_trait]
impl Step<()> for Idle {
    fn name(&self) -> &'static str {
        self.0
    }

    async fn run(&self, _deps: &(), _run: &Run) -> StepResult {
        Ok(Outcome::Advance)
    }
}

struct Nothing;

#[async_trait]
impl Task<()> for Nothing {
    fn kind(&self) -> OperationType {
        KIND
    }

    fn steps(&self) -> &'static [&'static dyn Step<()>] {
        &[&FIRST]
    }

    async fn clean_up(&self, _deps: &(), _run: &Run) -> std::result::Result<CleanUp, StepError> {
        Ok(CleanUp::Undone)
    }

    async fn leftovers(&self, _deps: &(), _run: &Run) -> Vec<Leftover> {
        Vec::new()
    }

    async fn record_undone(
        &self,
        _run: &Run,
        _txn: &DatabaseTransaction,
        _why: &str,
    ) -> std::result::Result<(), StepError> {
        Ok(())
    }
}

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let env = pool::servers().await;
    let config = Config::load_from(None, env.variables())?.config;
    let connections = config.identity.max_connections;
    let db = yuantus_identity::connect(&config.identity_url()?, connections, "bench")?;
    let pool = db.get_postgres_connection_pool().clone();
    sqlx::raw_sql("CREATE TABLE bare_operations (LIKE operations INCLUDING ALL)")
        .execute(&pool)
        .await?;
    let mut rounds = Rounds::new("engine_operations", "/s", GOAL);
    // The first round warms caches and connections, and does not count.
    for round in 0..=size.rounds {
        fill(&pool, size.operations).await?;
        let ours = drain(&db, &config).await?;
        finished(&pool, "operations", size.operations).await?;
        let baseline = queue::drain(&pool, config.worker.concurrency, connections).await?;
        finished(&pool, "bare_operations", size.operations).await?;
        if round > 0 {
            rounds.add(per_second(size, ours), per_second(size, baseline));
        }
    }
    pool.close().await;
    env.postgres.stop().await?;
    Ok(vec![rounds.measure()])
}

fn per_second(size: &Size, took: Duration) -> f64 {
    f64::from(size.operations) / took.as_secs_f64()
}

async fn fill(pool: &PgPool, operations: i32) -> Result<()> {
    sqlx::raw_sql("TRUNCATE operations, bare_operations").execute(pool).await?;
    sqlx::query(FILL)
        .bind(KIND.as_str())
        .bind(serde_json::json!(STEPS))
        .bind(operations)
        .execute(pool)
        .await?;
    let copy = "INSERT INTO bare_operations OVERRIDING SYSTEM VALUE SELECT * FROM operations";
    sqlx::raw_sql(copy).execute(pool).await?;
    sqlx::raw_sql("VACUUM ANALYZE operations, bare_operations").execute(pool).await?;
    sqlx::raw_sql("CHECKPOINT").execute(pool).await?;
    Ok(())
}

async fn drain(db: &sea_orm::DatabaseConnection, config: &Config) -> Result<Duration> {
    let stop = CancellationToken::new();
    let pool = db.get_postgres_connection_pool().clone();
    let (notifier, notify) = Notifier::new(pool, stop.clone());
    let notify = tokio::spawn(notify);
    let registry = Registry::new(&[&Nothing]);
    let begun = Instant::now();
    let settings = settings(config);
    let (_open, gate) = watch::channel(true);
    run_worker(db.clone(), registry, Arc::new(()), notifier, settings, gate, stop.clone()).await?;
    let took = begun.elapsed();
    stop.cancel();
    notify.await?;
    Ok(took)
}

fn settings(config: &Config) -> Settings {
    let worker = &config.worker;
    Settings {
        node_id: "bench".into(),
        concurrency: worker.concurrency,
        poll_interval: worker.poll_interval(),
        lease: worker.lease(),
        heartbeat: worker.heartbeat(),
        reaper: worker.reaper(),
        retention: worker.retention(),
        backoff: Backoff { initial: worker.backoff_initial(), max: worker.backoff_max() },
        drain: Duration::from_secs(10),
        once: true,
    }
}

async fn finished(pool: &PgPool, table: &'static str, expected: i32) -> Result<()> {
    let sql = format!("SELECT count(*) FROM {table} WHERE state = 'SUCCEEDED'");
    let done: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await?;
    if done == i64::from(expected) {
        return Ok(());
    }
    Err(format!("{done} of {expected} rows of {table} were finished").into())
}
