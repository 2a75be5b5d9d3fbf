//! The product under measurement: its processes, and its spare databases.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use yuantus_test_support::{Api, Child, Options, TestEnv};

use crate::Result;

/// How long spare databases may take to be made.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// Tenants' databases of this product.
const SPARES: &str = "
SELECT count(*) FROM pg_database d
JOIN pg_shdescription c ON c.objoid = d.oid AND c.classoid = 'pg_database'::regclass
WHERE d.datname LIKE 'yuantus\\_mt\\_spare\\_\\_%' AND c.description LIKE '%\"kind\":\"spare\"%'";

/// Servers that keep what they commit, and intervals as delivered.
pub(crate) async fn servers() -> TestEnv {
    let options = Options { durable: true, default_intervals: true, ..Options::default() };
    TestEnv::start_with(options).await
}

/// The product, running on servers of its own.
pub(crate) struct Product {
    pub(crate) api: Api,
    pub(crate) worker: Child,
    /// A session of the server's administrator, in its maintenance database.
    pub(crate) admin: PgConnection,
    spares: i64,
    // Ends last.
    pub(crate) env: TestEnv,
}

impl Product {
    /// Starts it and waits for its spare databases.
    pub(crate) async fn start() -> Result<Self> {
        let env = servers().await;
        let api = env.api().await;
        let worker = env.worker("bench", &[]);
        let admin = env.connect("postgres").await;
        let config = yuantus_config::Config::load_from(None, env.variables())?.config;
        let spares = i64::from(config.tenants.spare_target);
        let mut product = Self { api, worker, admin, spares, env };
        product.spares_ready().await?;
        Ok(product)
    }

    /// Waits until there are as many spare databases as there are to be.
    pub(crate) async fn spares_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let there: i64 = sqlx::query_scalar(SPARES).fetch_one(&mut self.admin).await?;
            if there >= self.spares {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{there} of {} spare databases", self.spares).into());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes an org and waits until its database accepts a query; answers how
    /// long that took.
    pub(crate) async fn provision(&self, tenant: &str, org: &str) -> Result<Duration> {
        let begun = Instant::now();
        let operation = self.api.create_org(tenant, org).await;
        self.api.succeed(&operation).await;
        let url = self.api.connection(tenant, org).await;
        let mut connection = PgConnection::connect(&url).await?;
        sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
        let took = begun.elapsed();
        connection.close().await?;
        Ok(took)
    }

    /// Writes to disk what is waiting for it, so that it does not fall into
    /// whatever is measured next.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        sqlx::raw_sql("CHECKPOINT").execute(&mut self.admin).await?;
        Ok(())
    }

    /// Ends it as an administrator would.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.admin.close().await?;
        self.worker.terminate().await;
        self.api.child.terminate().await;
        Ok(self.env.postgres.stop().await?)
    }
}
