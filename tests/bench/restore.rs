//! A restore by the product, request to `SUCCEEDED`, against `pg_restore` of a
//! file into a database that is there.

use std::time::Instant;

use yuantus_test_support::backup_id;

use crate::{
    Result,
    assignment::run,
    backup::make_large_org,
    dump,
    pool::Product,
    report::{Goal, Measure},
    rounds::Rounds,
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["restore"];

const GOAL: Goal = Goal::AtMost(1.5);
const TENANT: &str = "bench";
const ORG: &str = "large";
const DATABASE: &str = "yuantus_mt_pg__bench__large";
const FRESH: &str = "bare_restore";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let mut product = Product::start().await?;
    make_large_org(&mut product, size).await?;
    let file = product.env.dir().join("baseline.dump");
    dump::dump(&product.env, DATABASE, &file).await?;
    let backup = product.api.create_backup(TENANT, ORG).await;
    product.api.succeed(&backup).await;
    let mut rounds = Rounds::new("restore", "s", GOAL);
    // The first round warms caches, and does not count.
    for round in 0..=size.rounds {
        product.settle().await?;
        let begun = Instant::now();
        let operation = product.api.restore(TENANT, ORG, backup_id(&backup)).await;
        product.api.succeed(&operation).await;
        let ours = begun.elapsed();
        run(&mut product.admin, format!("CREATE DATABASE {FRESH} TEMPLATE template0")).await?;
        product.settle().await?;
        let baseline = dump::restore(&product.env, FRESH, &file).await?;
        run(&mut product.admin, format!("DROP DATABASE {FRESH}")).await?;
        if round > 0 {
            rounds.add(ours.as_secs_f64(), baseline.as_secs_f64());
        }
    }
    product.stop().await?;
    Ok(vec![rounds.measure()])
}
