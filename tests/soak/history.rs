//! The identity database goes back to what it was some time ago.

use std::time::Duration;

use serde_json::json;
use yuantus_postgres::Tools;
use yuantus_test_support::{TestEnv, run};

use crate::{Result, client::operation, model::Model, world::World};

/// Dumps the identity database with work waiting in it, lets the world go on for
/// `while_away`, and puts the dump back.
pub async fn go_back(world: &World, model: &Model, while_away: Duration) -> Result<()> {
    let (dump, before) = {
        let _still = world.still.write().await;
        eprintln!("dumping the identity database");
        world.revive().await;
        for worker in &mut world.processes.lock().await.workers {
            worker.kill();
        }
        let waiting = ask(world, model).await?;
        let before = model.known().clone();
        let dump = dump(&*world.env.read().await).await;
        // In reality the restores among them never happen.
        for restore in waiting {
            world.rest.post(&format!("/api/v1/operations/{restore}:cancel"), json!({})).await?;
        }
        world.revive().await;
        (dump, before)
    };
    tokio::time::sleep(while_away).await;
    let _still = world.still.write().await;
    eprintln!("putting the dump back");
    world.env.read().await.s3.faults().clear();
    world.revive().await;
    settle(world, model).await?;
    world.stop().await;
    put_back(&*world.env.read().await, &dump).await;
    forget(model, before);
    world.revive().await;
    recover(world).await?;
    world.count("identity database gone back");
    Ok(())
}

/// Asks for a backup and a restore of every org that has a backup, and for an
/// org of each tenant; answers the restores. Where the backups are made now,
/// they are not in the other history.
async fn ask(world: &World, model: &Model) -> Result<Vec<String>> {
    let orgs = model.known().orgs.clone();
    let mut restores = Vec::new();
    for ((tenant, org), state) in &orgs {
        let path = format!("/api/v1/tenants/{tenant}/orgs/{org}/backups");
        let (status, body) = world.rest.post(&path, json!({})).await?;
        let backup = body["target"].as_str().and_then(|target| target.rsplit('/').next());
        model.known().forgotten.insert(backup.unwrap_or_default().to_owned());
        operation((status, body))?;
        if let Some(backup) = state.backups.keys().next() {
            let restore = world.rest.post(&format!("{path}/{backup}:restore"), json!({})).await?;
            restores.push(operation(restore)?);
        }
    }
    let tenants = orgs.keys().map(|(tenant, _)| tenant);
    for tenant in tenants.collect::<std::collections::BTreeSet<_>>() {
        let path = format!("/api/v1/tenants/{tenant}/orgs");
        operation(world.rest.post(&path, json!({"id": "waiting"})).await?)?;
    }
    Ok(restores)
}

/// Waits until nothing is under way.
async fn settle(world: &World, model: &Model) -> Result<()> {
    let operations = model.known().operations.clone();
    for id in operations {
        world.rest.ended(&id).await?;
    }
    for state in ["PENDING", "RUNNING"] {
        loop {
            let path = format!("/api/v1/operations?state={state}");
            let (_, body) = world.rest.get(&path).await?;
            if body["operations"].as_array().is_none_or(Vec::is_empty) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

/// What databases hold stays as it is; that they, and backups, are recorded is
/// known only as far as it was then.
fn forget(model: &Model, before: crate::model::Known) {
    let mut known = model.known();
    let now = std::mem::take(&mut known.orgs);
    for ((tenant, org), mut state) in now {
        match before.orgs.get(&(tenant.clone(), org.clone())) {
            None => {
                known.forgotten.insert(format!("__{tenant}__{org}"));
                known.forgotten.extend(state.backups.into_keys());
            }
            Some(then) => {
                let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut state.backups)
                    .into_iter()
                    .partition(|(id, _)| then.backups.contains_key(id));
                known.forgotten.extend(gone.into_iter().map(|(id, _)| id));
                state.backups = kept.into_iter().collect();
                known.orgs.insert((tenant, org), state);
            }
        }
    }
    let operations = std::mem::replace(&mut known.operations, before.operations);
    let gone = operations.difference(&known.operations).map(|id| id.replace('-', ""));
    let gone: Vec<String> = gone.collect();
    known.forgotten.extend(gone);
}

/// Waits for recovery mode, and ends it.
async fn recover(world: &World) -> Result<()> {
    let env = world.env.read().await;
    let begun = std::time::Instant::now();
    while !world.processes.lock().await.workers.iter().any(|w| w.log().contains("recovery mode")) {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("no worker noticed that the identity database went back".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let variables = env.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (&**n, &**v)).collect();
    for arguments in
        [&["db", "recover-audit"][..], &["db", "release", "--reason", "the soak put a dump back"]]
    {
        let done = env.cli(arguments, &variables, "").await;
        if done.code != Some(0) {
            return Err(format!("{arguments:?}: {}", done.stderr).into());
        }
    }
    Ok(())
}

async fn dump(env: &TestEnv) -> Vec<u8> {
    let tool = Tools::find().pg_dump().expect("pg_dump");
    let url = env.database_url("yuantus_identity").to_string();
    run(tool, &["-Fc", "-d", &url], [], b"").await.succeeded().stdout
}

async fn put_back(env: &TestEnv, dump: &[u8]) {
    let tool = Tools::find().pg_restore().expect("pg_restore");
    let url = env.database_url("yuantus_identity").to_string();
    let arguments = ["--clean", "--if-exists", "--exit-on-error", "--single-transaction"];
    let arguments = [&arguments[..], &["-d", &url]].concat();
    run(tool, &arguments, [], dump).await.succeeded();
}
