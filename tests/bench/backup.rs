//! A backup by the product, request to `SUCCEEDED`, against `pg_dump` to a
//! file.

use std::time::Instant;

use crate::{
    Result, database, dump,
    pool::Product,
    report::{Goal, Measure},
    rounds::Rounds,
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["backup"];

const GOAL: Goal = Goal::AtMost(1.5);
const TENANT: &str = "bench";
const ORG: &str = "large";
/// The org's database under the template of the test environment.
const DATABASE: &str = "yuantus_mt_pg__bench__large";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let mut product = Product::start().await?;
    make_large_org(&mut product, size).await?;
    let file = product.env.dir().join("baseline.dump");
    let mut rounds = Rounds::new("backup", "s", GOAL);
    // The first round warms caches, and does not count.
    for round in 0..=size.rounds {
        product.settle().await?;
        let begun = Instant::now();
        let operation = product.api.create_backup(TENANT, ORG).await;
        product.api.succeed(&operation).await;
        let ours = begun.elapsed();
        product.settle().await?;
        let baseline = dump::dump(&product.env, DATABASE, &file).await?;
        if round > 0 {
            rounds.add(ours.as_secs_f64(), baseline.as_secs_f64());
        }
    }
    product.stop().await?;
    Ok(vec![rounds.measure()])
}

/// Makes an org with a large database.
pub(crate) async fn make_large_org(product: &mut Product, size: &Size) -> Result<()> {
    product.api.create_tenant(TENANT).await;
    product.provision(TENANT, ORG).await?;
    product.spares_ready().await?;
    database::fill(&product.env, DATABASE, size.database_bytes).await
}
