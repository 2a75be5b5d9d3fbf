//! From the request for an org to a query on its database, with spare
//! databases at hand, against the same where there is neither a spare nor the
//! template that they come from: an empty database is made and migrated. The
//! migrations are a published package's: 23 of them, as an application's are
//! after some years.

use yuantus_test_support::published_bundle;

use crate::{
    Result,
    pool::Product,
    report::{Goal, Measure},
    rounds::{Rounds, millis, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["provision_vs_migrate"];

const GOAL: Goal = Goal::TimesAsFast(8.0);
const PACKAGE: &str = "apalis-postgres";
const TENANT: &str = "bench";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let bundle = published_bundle(PACKAGE);
    let mut product = Product::start_with_bundle(&bundle).await?;
    let mut without = Product::start_without_spares(&bundle).await?;
    for either in [&mut product, &mut without] {
        either.api.create_tenant(TENANT).await;
        either.provision(TENANT, "warm-up").await?;
    }
    let mut rounds = Rounds::new("provision_vs_migrate", "ms", GOAL);
    for round in 0..size.rounds {
        product.settle().await?;
        without.settle().await?;
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        let orgs: Vec<String> = (0..size.migrations).map(|n| format!("org-{round}-{n}")).collect();
        for org in &orgs {
            product.spares_ready().await?;
            ours.push(millis(product.provision(TENANT, org).await?));
        }
        product.spares_ready().await?;
        // Each of these leaves pages to be written: none is behind one of ours.
        for org in &orgs {
            baseline.push(millis(without.provision(TENANT, org).await?));
        }
        rounds.add(percentile(ours, 50), percentile(baseline, 50));
    }
    without.stop().await?;
    product.stop().await?;
    Ok(vec![rounds.measure()])
}
