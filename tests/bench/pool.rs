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
    servers_with(Vec::new()).await
}

/// Those, and a product of these variables.
async fn servers_with(variables: Vec<(String, String)>) -> TestEnv {
    let options =
        Options { variables, durable: true, default_intervals: true, ..Options::default() };
    TestEnv::start_with(options).await
}

fn of(bundle: &str) -> Vec<(String, String)> {
    vec![("YUANTUS_BUNDLE".to_owned(), bundle.to_owned())]
}

/// The product, running on servers of its own.
pub(crate) struct Product {
    pub(crate) api: Api,
    pub(crate) worker: Child,
    /// A session of the server's administrator, in its maintenance database.
    pub(crate) admin: PgConnection,
    /// Keeps every worker from making spare databases.
    lead: Option<PgConnection>,
    spares: i64,
    // Ends last.
    pub(crate) env: TestEnv,
}

impl Product {
    /// Starts it and waits for its spare databases.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_in(servers().await).await
    }

    /// The same with this bundle.
    pub(crate) async fn start_with_bundle(bundle: &str) -> Result<Self> {
        Self::start_in(servers_with(of(bundle)).await).await
    }

    async fn start_in(env: TestEnv) -> Result<Self> {
        let api = env.api().await;
        let config = yuantus_config::Config::load_from(None, env.variables())?.config;
        let mut product = Self {
            api,
            worker: env.worker("bench", &[]),
            admin: env.connect("postgres").await,
            lead: None,
            spares: i64::from(config.tenants.spare_target),
            env,
        };
        product.spares_ready().await?;
        Ok(product)
    }

    /// Starts it with nobody who makes spare databases, or the template that
    /// they come from: whatever an org needs is made when it is asked for.
    pub(crate) async fn start_without_spares(bundle: &str) -> Result<Self> {
        let env = servers_with(of(bundle)).await;
        let api = env.api().await;
        let mut lead = env.identity().await;
        sqlx::query("SELECT pg_advisory_lock($1)")
            .bind(yuantus_worker::LEAD)
            .execute(&mut lead)
            .await?;
        let worker = env.worker("bench", &[]);
        let admin = env.connect("postgres").await;
        Ok(Self { api, worker, admin, lead: Some(lead), spares: 0, env })
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
        if let Some(lead) = self.lead {
            lead.close().await?;
        }
        self.worker.terminate().await;
        self.api.child.terminate().await;
        Ok(self.env.postgres.stop().await?)
    }
}
