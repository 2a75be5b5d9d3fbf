//! The end: what is there, beside what was acknowledged.

use serde_json::{Value, json};

use crate::{
    Result,
    actor::{Work, count},
    client::operation,
    model::{Backup, Known, Model},
    world::World,
};

/// Compares everything; every difference is told, and fails.
pub async fn all(world: &World, model: &Model) -> Result<()> {
    eprintln!("comparing");
    let known = model.known().clone();
    let mut wrong = Vec::new();
    for ((tenant, org), state) in &known.orgs {
        let work = Work { world, model, tenant, org };
        let holds = Backup { least: state.acknowledged, most: state.sent };
        wrong.extend(compare(&work, holds, "org").await?);
    }
    for ((tenant, org), state) in &known.orgs {
        for (number, (backup, holds)) in state.backups.iter().enumerate() {
            let into = format!("restored-{org}-{number}");
            let path = format!("/api/v1/tenants/{tenant}/orgs/{org}/backups/{backup}:restore");
            let target = json!({"target_tenant_id": tenant, "target_org_id": into});
            let id = operation(world.rest.post(&path, target).await?)?;
            let (ended, why) = world.rest.ended(&id).await?;
            if ended != "SUCCEEDED" {
                wrong.push(format!("backup {backup} of {tenant}/{org} does not restore: {why}"));
                continue;
            }
            let work = Work { world, model, tenant, org: &into };
            wrong.extend(compare(&work, *holds, "backup").await?);
            model.count("backup restored elsewhere and equal");
        }
    }
    wrong.extend(doctor(world, &known).await?);
    wrong.extend(audit(world, &known).await?);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

async fn compare(work: &Work<'_>, holds: Backup, what: &str) -> Result<Option<String>> {
    let (tenant, org) = (work.tenant, work.org);
    let Some(mut connection) = work.connect().await? else {
        return Ok(Some(format!("{what} {tenant}/{org}: cannot connect")));
    };
    let Backup { least, most } = holds;
    Ok(match count(&mut connection).await {
        Ok(there) if (least..=most).contains(&there) => None,
        Ok(there) => {
            Some(format!("{what} {tenant}/{org}: {there} customers, not {least} to {most}"))
        }
        Err(error) => Some(format!("{what} {tenant}/{org}: {error}")),
    })
}

/// What only one side knows has to be of what was made to be forgotten.
async fn doctor(world: &World, known: &Known) -> Result<Vec<String>> {
    let env = world.env.read().await;
    let variables = env.variables();
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (&**n, &**v)).collect();
    let ran = env.cli(&["doctor", "-o", "json"], &variables, "").await;
    let listed: Vec<Value> = serde_json::from_slice(&ran.stdout)
        .map_err(|error| format!("doctor: {error}: {}", ran.stderr))?;
    let explained = |name: &str| known.forgotten.iter().any(|part| name.contains(part.as_str()));
    let names = listed.iter().map(|item| (item, item["name"].as_str().unwrap_or_default()));
    let unlisted = names.filter(|(_, name)| !explained(name));
    Ok(unlisted.map(|(item, _)| format!("unexplained: {item}")).collect())
}

async fn audit(world: &World, known: &Known) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let tenants = known.orgs.keys().map(|(tenant, _)| tenant.as_str());
    let tenants: std::collections::BTreeSet<&str> = tenants.chain(["platform"]).collect();
    for tenant in tenants {
        let body = json!({"tenant_id": tenant});
        let (status, body) = world.rest.post("/api/v1/audit-logs:verify", body).await?;
        if status != 200 || !is_whole(&body) {
            wrong.push(format!("audit trail of {tenant}: {status} {body}"));
        }
    }
    Ok(wrong)
}

/// Every trail that was answered is as it was written. Several are a list.
fn is_whole(answer: &Value) -> bool {
    match answer.as_array() {
        Some(trails) => trails.iter().all(is_whole),
        None => answer["ok"] == json!(true),
    }
}
