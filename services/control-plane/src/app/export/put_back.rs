//! Putting back what a document of a tenant holds, as far as it is missing.

use std::{collections::HashMap, time::Duration};

use serde_json::{Value, json};
use yuantus_auth::random_password;
use yuantus_domain::{
    Email, Error, OperationState, OrgId, OrgKey, OrgRole, PageSize, Plan, Result, TenantId,
    Username,
};
use yuantus_identity::{for_org, for_tenant, query::user::Change};
use yuantus_tenant_data::{PutBack, Session, Values};

use super::{
    super::{
        App, audit, display_name,
        org::CreateOrg,
        org_name,
        tenant::CreateTenant,
        user::{CreateUser, insert_user},
    },
    TURN, check,
};

/// How long to wait for the database of an org that is made.
const WAIT: Duration = Duration::from_secs(20);

/// What is to be put back.
#[derive(Debug)]
pub struct Restore {
    /// The tenant.
    pub tenant: TenantId,
    /// The name people read.
    pub name: String,
    /// Its plan.
    pub plan: Plan,
    /// Its users.
    pub users: Vec<RestoreUser>,
    /// Who is a member where.
    pub members: Vec<RestoreMember>,
    /// Its orgs.
    pub orgs: Vec<RestoreOrg>,
}

/// A user that is to be there.
#[derive(Debug)]
pub struct RestoreUser {
    /// The name to log in with.
    pub username: Username,
    /// The address.
    pub email: Option<Email>,
    /// The name people read.
    pub name: String,
    /// Whether the user administers the tenant.
    pub is_superuser: bool,
    /// Whether the user may log in.
    pub is_active: bool,
}

/// A membership that is to be there.
#[derive(Debug)]
pub struct RestoreMember {
    /// The org.
    pub org: OrgId,
    /// Whose.
    pub username: Username,
    /// The roles.
    pub roles: Vec<OrgRole>,
    /// Whether the member may work in the org.
    pub is_active: bool,
}

/// An org that is to be there.
#[derive(Debug)]
pub struct RestoreOrg {
    /// Its id.
    pub id: OrgId,
    /// The name people read.
    pub name: String,
    /// The rows of its tables.
    pub tables: Vec<RestoreTable>,
}

/// Rows that are to be there.
#[derive(Debug)]
pub struct RestoreTable {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Their values.
    pub rows: Vec<Values>,
}

/// What was put back.
#[derive(Debug, Default)]
pub struct Restored {
    /// Rows that were missing.
    pub rows: u64,
    /// Rows that were there.
    pub unchanged: u64,
    /// Users that were missing.
    pub users: usize,
    /// Memberships that were missing.
    pub members: usize,
    /// Orgs that were made.
    pub orgs: Vec<String>,
}

impl App {
    /// Puts back what is missing. What can be told to be wrong is refused
    /// before anything is written.
    pub async fn restore_tenant(&self, asked: Restore) -> Result<Restored> {
        check::consistent(&asked)?;
        let _turn = TURN.acquire().await.map_err(Error::internal)?;
        let mut done = Restored::default();
        let id = &asked.tenant;
        if !self.check_restore(&asked).await? {
            let (name, plan) = (asked.name.clone(), asked.plan);
            let new = CreateTenant { id: id.clone(), name, plan, admin: None, idempotency: None };
            self.create_tenant(new).await?;
        }
        for org in &asked.orgs {
            let key = OrgKey { tenant: id.clone(), org: org.id.clone() };
            if self.ensure_org(&key, &org.name).await? {
                done.orgs.push(org.id.to_string());
                self.check_tables(&key, &org.tables).await?;
            }
        }
        for org in &asked.orgs {
            let key = OrgKey { tenant: id.clone(), org: org.id.clone() };
            self.put_org_back(&key, &org.tables, &mut done).await?;
        }
        self.put_users_back(&asked, &mut done).await?;
        Ok(done)
    }

    /// Makes an org that is not there, and waits for its database; whether it
    /// was made.
    async fn ensure_org(&self, key: &OrgKey, name: &str) -> Result<bool> {
        if for_org(key).org(&self.db).await?.is_some() {
            return Ok(false);
        }
        let new = CreateOrg { key: key.clone(), name: name.to_owned(), idempotency: None };
        let operation = self.create_org(new).await?;
        let ended = self.wait_operation(operation.id, WAIT).await?;
        match OperationState::parse(&ended.state) {
            Some(OperationState::Succeeded) => Ok(true),
            _ => Err(Error::Unavailable {
                reason: "PROVISIONING",
                message: format!("the database of org `{key}` is not made yet; ask again"),
                retry_after: Duration::from_secs(5),
            }),
        }
    }

    async fn put_org_back(
        &self,
        key: &OrgKey,
        tables: &[RestoreTable],
        done: &mut Restored,
    ) -> Result<()> {
        let mut session = self.data_session(key).await?;
        session.begin().await?;
        let changed = async {
            let put = put_back(&mut session, key, tables).await?;
            if put.inserted > 0 {
                let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
                let details = json!({ "rows": put.inserted });
                audit::record(&self.db, "org.restore_rows", tenant, org, org_name(key), details)
                    .await?;
            }
            Ok::<_, Error>(put)
        };
        let changed = changed.await;
        let put = session.finish(changed).await?;
        done.rows += put.inserted;
        done.unchanged += put.there.saturating_sub(put.inserted);
        Ok(())
    }

    async fn put_users_back(&self, asked: &Restore, done: &mut Restored) -> Result<()> {
        let tenant = &asked.tenant;
        let there = self.all_users(tenant, PageSize::parse(1000)?).await?;
        // Nobody knows it: whoever is to log in needs another.
        let password = random_password()?;
        let hash = self.passwords.hash(&password).await?;
        let txn = self.begin().await?;
        let mut ids: HashMap<String, i32> =
            there.into_iter().map(|user| (user.username, user.id)).collect();
        for user in &asked.users {
            if ids.contains_key(user.username.as_str()) {
                continue;
            }
            let new = CreateUser {
                tenant: tenant.clone(),
                username: user.username.clone(),
                password: String::new().into(),
                email: user.email.clone(),
                is_superuser: user.is_superuser,
                id: None,
            };
            let made = insert_user(&txn, &new, hash.clone()).await?;
            let name = display_name(&user.name, "")?;
            for_tenant(tenant).name_user(&txn, made.id, name).await?;
            if !user.is_active {
                let change = Change { is_active: Some(false), ..Default::default() };
                for_tenant(tenant).update_user(&txn, made.id, change).await?;
            }
            ids.insert(made.username, made.id);
            done.users += 1;
        }
        for member in &asked.members {
            let key = OrgKey { tenant: tenant.clone(), org: member.org.clone() };
            let id = ids.get(member.username.as_str()).ok_or_else(|| {
                let rule =
                    format!("must name users of the document, not `{}`", member.username.as_str());
                Error::invalid("members", rule)
            })?;
            if for_org(&key).member(&txn, *id).await?.is_none() {
                for_org(&key).insert_member(&txn, *id, &member.roles, member.is_active).await?;
                done.members += 1;
            }
        }
        let details = json!({ "rows": done.rows, "users": done.users, "members": done.members,
            "orgs": done.orgs });
        let target = format!("tenants/{tenant}");
        audit::record(&txn, "tenant.restore", tenant.as_str(), "", target, details).await?;
        self.commit(txn).await
    }
}

async fn put_back(session: &mut Session, key: &OrgKey, tables: &[RestoreTable]) -> Result<PutBack> {
    let mut put = PutBack::default();
    let there = session.tables().await?;
    for (table, given, places) in check::match_tables(key, &there, tables)? {
        let rows = in_columns(&places, given)?;
        let one = session.put_back(table, &Value::from(rows).to_string()).await?;
        let wanted = given.rows.len() as u64;
        if one.there < wanted {
            let differ = wanted - one.there;
            let name = table.full_name();
            let message = format!("{differ} rows of `{name}` of org `{key}` are there otherwise");
            return Err(Error::precondition("ROWS_DIFFER", message));
        }
        put.inserted += one.inserted;
        put.there += one.there;
    }
    Ok(put)
}

/// Rows in the order of the table's columns.
fn in_columns(places: &[usize], given: &RestoreTable) -> Result<Vec<Value>> {
    let row = |row: &Values| {
        let values = places.iter().map(|place| row.get(*place).cloned().map(Value::from));
        values.collect::<Option<Vec<_>>>().map(Value::from)
    };
    let rows: Option<Vec<Value>> = given.rows.iter().map(row).collect();
    rows.ok_or_else(|| Error::invalid("rows", "must have a value for each column"))
}
