//! What an API holds once the data routes of many tenants were used: memory
//! against what it held after a few, and connections against their bound.

use sqlx::PgConnection;

use crate::{
    Result,
    http::Ask,
    memory::resident,
    pool::Product,
    report::{Goal, Measure},
    rounds::Rounds,
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["data_memory", "data_connections"];

const MEMORY: Goal = Goal::AtMost(1.25);
const CONNECTIONS: Goal = Goal::AtMost(1.0);
const TENANT: &str = "bench";

const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'yuantus:data'";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let product = Product::start().await?;
    let config = yuantus_config::Config::load_from(None, product.env.variables())?.config;
    product.api.create_tenant(TENANT).await;
    let mut memory = Rounds::new(NAMES[0], "MB", MEMORY);
    let mut connections = Rounds::new(NAMES[1], "", CONNECTIONS);
    for org in 0..size.databases {
        let operation = product.api.create_org(TENANT, &format!("org-{org}")).await;
        product.api.succeed(&operation).await;
    }
    let few = size.databases / 10;
    touch(&product, 0..few).await?;
    let before = resident(&product.api.child)?;
    let most = touch(&product, few..size.databases).await?;
    memory.add(resident(&product.api.child)?, before);
    connections.add(most as f64, f64::from(u32::try_from(config.data.max_connections)?));
    product.stop().await?;
    Ok(vec![memory.measure(), connections.measure()])
}

/// Reads a page of customers of each; answers how many connections there were
/// at most.
async fn touch(product: &Product, orgs: std::ops::Range<usize>) -> Result<i64> {
    let mut admin: PgConnection = product.env.connect("postgres").await;
    let mut most = 0;
    for org in orgs {
        let org = format!("org-{org}");
        let headers = [("x-tenant-id", TENANT), ("x-org-id", &*org)];
        Ask::get(&product.api.url, "/api/v1/customers", &headers).once().await?;
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&mut admin).await?;
        most = most.max(open);
    }
    Ok(most)
}
