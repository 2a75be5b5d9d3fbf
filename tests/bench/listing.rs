//! A page of tenants where there are many, against one where there are few.

use yuantus_test_support::{Api, TestEnv};

use crate::{
    Result,
    http::Ask,
    report::{Goal, Measure},
    rounds::{Rounds, millis, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["listing"];

const GOAL: Goal = Goal::AtMost(1.5);
const FEW: i64 = 1000;
const SAMPLES: usize = 100;
/// A page in the middle of either.
const PATH: &str = "/api/v1/tenants?page_size=50&page_token=";

const TENANTS: &str = "INSERT INTO tenants (id, name, status, plan)
    SELECT 'tenant-' || lpad(n::text, 6, '0'), 'Tenant ' || n, 'ACTIVE', 'basic'
    FROM generate_series(1, $1) n";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let (few_env, few) = tenants(FEW).await?;
    let (many_env, many) = tenants(size.tenants).await?;
    let few = middle(&few, FEW).await?;
    let many = middle(&many, size.tenants).await?;
    let mut listing = Rounds::new(NAMES[0], "ms", GOAL);
    for _ in 0..size.rounds {
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for _ in 0..SAMPLES {
            ours.push(millis(many.once().await?));
            baseline.push(millis(few.once().await?));
        }
        listing.add(percentile(ours, 50), percentile(baseline, 50));
    }
    drop((few_env, many_env));
    Ok(vec![listing.measure()])
}

async fn tenants(count: i64) -> Result<(TestEnv, Api)> {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut identity = env.identity().await;
    sqlx::query(TENANTS).bind(count).execute(&mut identity).await?;
    sqlx::query("ANALYZE tenants").execute(&mut identity).await?;
    Ok((env, api))
}

/// The request for a page in the middle: the first page's token says how one
/// looks.
async fn middle(api: &Api, count: i64) -> Result<Ask> {
    let list = format!("{}/api/v1/tenants?page_size={}", api.url, (count / 2).min(1000));
    let mut token = String::new();
    for _ in (0..count / 2).step_by(1000) {
        let page = reqwest::get(format!("{list}&page_token={token}")).await?.error_for_status()?;
        let page: serde_json::Value = page.json().await?;
        token = page["next_page_token"].as_str().ok_or("no token")?.to_owned();
    }
    Ok(Ask::get(&api.url, &format!("{PATH}{token}"), &[]))
}
