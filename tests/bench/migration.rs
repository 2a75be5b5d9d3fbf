//! From the request for an org to a query on its database, with spare
//! databases at hand, against making an empty database, migrating it and
//! giving it a role.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use yuantus_domain::DatabaseName;
use yuantus_postgres::{Kind, Marker, Server, scram};
use yuantus_tenant_schema::Bundle;

use crate::{
    Result,
    assignment::{run, transaction},
    pool::Product,
    report::{Goal, Measure},
    rounds::{Rounds, millis, percentile},
    size::Size,
};

pub(crate) const NAMES: &[&str] = &["provision_vs_migrate"];

const GOAL: Goal = Goal::TimesAsFast(8.0);
const TENANT: &str = "bench";
const PASSWORD: &str = "a password of 32 characters or so";

pub(crate) async fn measure(size: &Size) -> Result<Vec<Measure>> {
    let mut product = Product::start().await?;
    product.api.create_tenant(TENANT).await;
    product.provision(TENANT, "warm-up").await?;
    let bundle = Bundle::builtin();
    let mut rounds = Rounds::new("provision_vs_migrate", "ms", GOAL);
    for round in 0..size.rounds {
        product.settle().await?;
        let (mut ours, mut baseline) = (Vec::new(), Vec::new());
        for n in 0..size.migrations {
            product.spares_ready().await?;
            ours.push(millis(product.provision(TENANT, &format!("org-{round}-{n}")).await?));
        }
        product.spares_ready().await?;
        // Each of these leaves pages to be written: none is behind one of ours.
        for n in 0..size.migrations {
            let name = format!("migrated_{round}_{n}");
            baseline.push(millis(create_and_migrate(&mut product, &bundle, &name).await?));
        }
        rounds.add(percentile(ours, 50), percentile(baseline, 50));
    }
    product.stop().await?;
    Ok(vec![rounds.measure()])
}

async fn create_and_migrate(
    product: &mut Product,
    bundle: &Bundle,
    name: &str,
) -> Result<Duration> {
    let admin_url = product.env.postgres.admin_url();
    let server = Server::new(&admin_url)?;
    let database = DatabaseName::parse(name)?;
    let marker = Marker {
        plane: "bench".into(),
        kind: Kind::Spare,
        fingerprint: String::new(),
        operation: None,
        owner: None,
        role: None,
    };
    let verifier = scram::verifier(&SecretString::from(PASSWORD));
    let mut lane = server.open_lane(name, 1).await?;
    let options: PgConnectOptions = admin_url.as_str().parse()?;
    let options = options
        .database(&format!("{name}_org"))
        .username(&format!("{name}_role"))
        .password(PASSWORD);
    let begun = Instant::now();
    lane.create_blank(&database, &marker).await?;
    let access = server.access(&database, lane.tag());
    yuantus_tenant_schema::migrate(bundle, &access, &|_, _| {}).await?;
    run(&mut product.admin, transaction(name, &verifier)).await?;
    let mut connection = PgConnection::connect_with(&options).await?;
    sqlx::raw_sql("SELECT 1").execute(&mut connection).await?;
    let took = begun.elapsed();
    connection.close().await?;
    lane.close().await;
    Ok(took)
}
