//! One tenant's load: orgs, customers, backups, restores, verifications, one
//! after the other.

use serde_json::json;
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::{
    Result,
    client::operation,
    model::{Backup, Model, Org},
    world::World,
};

/// Orgs of a tenant, at most.
const ORGS: usize = 5;
/// Customers that are sent together.
const BATCH: i64 = 25;

/// One org that is worked on.
pub struct Work<'a> {
    pub world: &'a World,
    pub model: &'a Model,
    pub tenant: &'a str,
    pub org: &'a str,
}

/// Loads until `stop`.
pub async fn run(
    number: usize,
    mut random: fastrand::Rng,
    world: &World,
    model: &Model,
    stop: &CancellationToken,
) -> Result<()> {
    let tenant = format!("t{number}");
    {
        let _busy = world.still.read().await;
        expect(world.rest.post("/api/v1/tenants", json!({"id": tenant})).await?)?;
    }
    let mut made = 0;
    while !stop.is_cancelled() {
        let _busy = world.still.read().await;
        let orgs: Vec<String> = {
            let known = model.known();
            known.orgs.keys().filter(|(t, _)| *t == tenant).map(|(_, org)| org.clone()).collect()
        };
        if orgs.is_empty() || (orgs.len() < ORGS && random.u32(0..10) == 0) {
            made += 1;
            create(world, model, &tenant, &format!("o{made}")).await?;
            continue;
        }
        let org = &orgs[random.usize(0..orgs.len())];
        let work = Work { world, model, tenant: &tenant, org };
        match random.u32(0..10) {
            0..=4 => work.add_customers().await?,
            5 | 6 => work.back_up().await?,
            7 => work.verify(&mut random).await?,
            _ => work.restore(&mut random).await?,
        }
    }
    Ok(())
}

fn expect((status, body): (u16, serde_json::Value)) -> Result<()> {
    if status < 300 { Ok(()) } else { Err(format!("{status} {body}").into()) }
}

async fn create(world: &World, model: &Model, tenant: &str, org: &str) -> Result<()> {
    let path = format!("/api/v1/tenants/{tenant}/orgs");
    let id = operation(world.rest.post(&path, json!({"id": org})).await?)?;
    model.known().operations.insert(id.clone());
    loop {
        let (state, why) = world.rest.ended(&id).await?;
        if state == "SUCCEEDED" {
            break;
        }
        eprintln!("org {tenant}/{org} {state}: {why}; retrying");
        model.count("creation retried");
        world.rest.post(&format!("/api/v1/operations/{id}:retry"), json!({})).await?;
    }
    model.known().orgs.insert((tenant.into(), org.into()), Org::default());
    model.count("org created");
    Ok(())
}

impl Work<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/tenants/{}/orgs/{}{rest}", self.tenant, self.org)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Org) -> T) -> T {
        let key = (self.tenant.to_owned(), self.org.to_owned());
        change(self.model.known().orgs.entry(key).or_default())
    }

    /// Connects as the org's own role does; nobody where the server is away.
    pub async fn connect(&self) -> Result<Option<PgConnection>> {
        let (status, body) = self.world.rest.get(&self.path("/connection")).await?;
        let url = body["url"].as_str().ok_or_else(|| format!("no connection: {status} {body}"))?;
        Ok(PgConnection::connect(url).await.ok())
    }

    async fn add_customers(&self) -> Result<()> {
        let Some(mut connection) = self.connect().await? else { return Ok(()) };
        // What was sent before may have been committed, or not.
        let Ok(there) = count(&mut connection).await else { return Ok(()) };
        let sql = "INSERT INTO customers (name, email)
            SELECT 'c' || n, md5(n::text) || '@example.com' FROM generate_series($1, $2) n";
        let last = there + BATCH;
        self.with(|org| org.sent = org.sent.max(last));
        let sent = sqlx::query(sql).bind(there + 1).bind(last).execute(&mut connection).await;
        if sent.is_ok() {
            self.with(|org| org.acknowledged = last);
            self.model.count("batch of customers");
        }
        Ok(())
    }

    async fn back_up(&self) -> Result<()> {
        let least = self.with(|org| org.acknowledged);
        let (status, body) = self.world.rest.post(&self.path("/backups"), json!({})).await?;
        let backup = body["target"].as_str().and_then(|target| target.rsplit('/').next());
        let backup = backup.unwrap_or_default().to_owned();
        let id = operation((status, body))?;
        self.model.known().operations.insert(id.clone());
        let (state, _) = self.world.rest.ended(&id).await?;
        if state != "SUCCEEDED" {
            self.model.count("backup failed");
            return Ok(());
        }
        self.with(|org| org.backups.insert(backup, Backup { least, most: org.sent }));
        self.model.count("backup");
        Ok(())
    }

    fn any_backup(&self, random: &mut fastrand::Rng) -> Option<(String, Backup)> {
        self.with(|org| {
            let number = org.backups.len().checked_sub(1).map(|last| random.usize(0..=last))?;
            org.backups.iter().nth(number).map(|(id, backup)| (id.clone(), *backup))
        })
    }

    async fn verify(&self, random: &mut fastrand::Rng) -> Result<()> {
        let Some((backup, _)) = self.any_backup(random) else { return Ok(()) };
        let path = self.path(&format!("/backups/{backup}:verify"));
        let id = operation(self.world.rest.post(&path, json!({})).await?)?;
        let (state, why) = self.world.rest.ended(&id).await?;
        if why.contains("DAMAGED") || why.contains("damaged") {
            return Err(format!("backup {backup} is called damaged: {why}").into());
        }
        self.model.count(if state == "SUCCEEDED" { "verification" } else { "verification failed" });
        Ok(())
    }

    async fn restore(&self, random: &mut fastrand::Rng) -> Result<()> {
        let Some((backup, holds)) = self.any_backup(random) else { return Ok(()) };
        let path = self.path(&format!("/backups/{backup}:restore"));
        let id = operation(self.world.rest.post(&path, json!({})).await?)?;
        self.model.known().operations.insert(id.clone());
        let (state, _) = self.world.rest.ended(&id).await?;
        if state != "SUCCEEDED" {
            self.model.count("restore failed");
            return Ok(());
        }
        self.with(|org| (org.acknowledged, org.sent) = (holds.least, holds.most));
        self.model.count("restore");
        Ok(())
    }
}

/// How many customers a database has; they must be those numbered from 1 on.
pub async fn count(connection: &mut PgConnection) -> Result<i64> {
    let sql = "SELECT count(*), count(*) FILTER (WHERE name = 'c' || n
            AND email = md5(n::text) || '@example.com')
        FROM (SELECT name, email, row_number() OVER (ORDER BY substr(name, 2)::bigint) AS n
            FROM customers) numbered";
    let (all, right): (i64, i64) = sqlx::query_as(sql).fetch_one(connection).await?;
    if all == right { Ok(all) } else { Err(format!("{right} of {all} customers are right").into()) }
}
