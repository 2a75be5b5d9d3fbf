//! What an API holds once the data routes of many tenants were used: memory
//! against what it held after a few, and connections against their bound.

use std::ops::Range;

use futures::{StreamExt, stream};
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
/// How many are asked at a time.
const AT_ONCE: usize = 8;
const ORG: &str = "hq";

const OPEN: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'yuantus:data'";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let product = Product::start().await?;
    let config = yuantus_config::Config::load_from(None, product.env.variables())?.config;
    let mut memory = Rounds::new(NAMES[0], "MB", MEMORY);
    let mut connections = Rounds::new(NAMES[1], "", CONNECTIONS);
    for number in 0..size.databases {
        let tenant = tenant(number);
        product.api.create_tenant(&tenant).await;
        let operation = product.api.create_org(&tenant, ORG).await;
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

fn tenant(number: usize) -> String {
    format!("tenant-{number}")
}

/// Reads a page of customers of each, some at a time; answers how many
/// connections there were at most.
async fn touch(product: &Product, tenants: Range<usize>) -> Result<i64> {
    let mut admin: PgConnection = product.env.connect("postgres").await;
    let url = &product.api.url;
    let asking = stream::iter(tenants).map(async |number| {
        let tenant = tenant(number);
        let headers = [("x-tenant-id", &*tenant), ("x-org-id", ORG)];
        Ask::get(url, "/api/v1/customers", &headers).once().await
    });
    let mut asking = asking.buffer_unordered(AT_ONCE);
    let mut most = 0;
    while let Some(asked) = asking.next().await {
        asked?;
        let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&mut admin).await?;
        most = most.max(open);
    }
    Ok(most)
}
