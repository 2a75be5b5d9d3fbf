//! From the request for an org to a query on its database, with spare
//! databases at hand, against the bare transaction that assigns one.

use crate::{
    Result,
    assignment::Assignments,
    pool::Product,
    report::{Goal, Measure},
    rounds::{Rounds, millis, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["provision_p50", "provision_p99"];

const GOAL: Goal = Goal::AtMost(4.0);
/// The tail may be twice as far from the bare transaction's.
const TAIL: Goal = Goal::AtMost(8.0);
const TENANT: &str = "bench";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let mut product = Product::start().await?;
    product.api.create_tenant(TENANT).await;
    let mut bare = Assignments::prepare(&mut product.admin).await?;
    product.provision(TENANT, "warm-up").await?;
    let mut p50 = Rounds::new("provision_p50", "ms", GOAL);
    let mut p99 = Rounds::new("provision_p99", "ms", TAIL);
    for round in 0..size.rounds {
        product.settle().await?;
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for org in 0..size.orgs {
            product.spares_ready().await?;
            ours.push(millis(product.provision(TENANT, &format!("org-{round}-{org}")).await?));
            product.spares_ready().await?;
            baseline.push(millis(bare.assign(&mut product.admin).await?));
        }
        p50.add(percentile(ours.clone(), 50), percentile(baseline.clone(), 50));
        p99.add(percentile(ours, 99), percentile(baseline, 99));
    }
    product.stop().await?;
    Ok(vec![p50.measure(), p99.measure()])
}
