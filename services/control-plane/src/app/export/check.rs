//! What can be told to be wrong with a document, before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use yuantus_domain::{Error, OrgId, OrgKey, PageSize, Result, TenantStatus, file_prefix};
use yuantus_identity::for_org;
use yuantus_tenant_data::Table;

use super::{
    super::{App, display_name, file::storage},
    Restore, RestoreOrg, RestoreTable,
};

/// Refuses a document that contradicts itself. Asks nobody, so that nobody
/// waits for one that names an org a hundred thousand times.
pub(super) fn consistent(asked: &Restore) -> Result<()> {
    display_name(&asked.name, "")?;
    once("orgs", "org", asked.orgs.iter().map(|org| org.id.as_str()))?;
    once("users", "user", asked.users.iter().map(|user| user.username.as_str()))?;
    let addresses = asked.users.iter().filter_map(|user| user.email.as_ref());
    let addresses: Vec<String> = addresses.map(|email| email.as_str().to_lowercase()).collect();
    once("users", "address", addresses.iter().map(String::as_str))?;
    let members = asked.members.iter();
    let members: Vec<String> =
        members.map(|member| format!("{} of {}", member.username.as_str(), member.org)).collect();
    once("members", "member", members.iter().map(String::as_str))?;
    for user in &asked.users {
        display_name(&user.name, "")?;
    }
    asked.orgs.iter().try_for_each(org)
}

fn org(org: &RestoreOrg) -> Result<()> {
    display_name(&org.name, "")?;
    let names = org.tables.iter().map(|table| format!("{}.{}", table.schema, table.name));
    let names: Vec<String> = names.collect();
    once("tables", "table", names.iter().map(String::as_str))?;
    for table in &org.tables {
        once("columns", "column", table.columns.iter().map(String::as_str))?;
        if table.rows.iter().any(|row| row.len() != table.columns.len()) {
            return Err(Error::invalid("rows", "must have a value for each column"));
        }
    }
    Ok(())
}

fn once<'a>(field: &'static str, what: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let rule = format!("must hold each {what} once, and `{name}` is there again");
            return Err(Error::invalid(field, rule));
        }
    }
    Ok(())
}

impl App {
    /// Refuses what does not go with what is there; whether the tenant is.
    pub(super) async fn check_restore(&self, asked: &Restore) -> Result<bool> {
        let id = &asked.tenant;
        let there = match self.tenant_facts(id).await? {
            Some(tenant) if tenant.status != TenantStatus::Active => {
                let message = format!("tenant `{id}` is {}", tenant.status);
                return Err(Error::precondition("TENANT_NOT_ACTIVE", message));
            }
            tenant => tenant.is_some(),
        };
        self.check_people(asked, there).await?;
        for org in &asked.orgs {
            let key = OrgKey { tenant: id.clone(), org: org.id.clone() };
            for table in org.tables.iter().filter(|table| table.name == "files") {
                self.expect_objects(&key, table).await?;
            }
            if there && for_org(&key).org(&self.db).await?.is_some() {
                self.check_tables(&key, &org.tables).await?;
            }
        }
        Ok(there)
    }

    /// Members are users, given or there, of orgs that are given or there; no
    /// two users have one address.
    async fn check_people(&self, asked: &Restore, tenant_is_there: bool) -> Result<()> {
        let there = match tenant_is_there {
            true => self.all_users(&asked.tenant, PageSize::parse(1000)?).await?,
            false => Vec::new(),
        };
        let names: BTreeSet<&str> = there.iter().map(|user| user.username.as_str()).collect();
        let addresses: BTreeMap<String, &str> = there
            .iter()
            .map(|user| (user.email.to_lowercase(), user.username.as_str()))
            .filter(|(address, _)| !address.is_empty())
            .collect();
        for user in &asked.users {
            let (name, email) = (user.username.as_str(), user.email.as_ref());
            let taken =
                email.filter(|email| addresses.contains_key(&email.as_str().to_lowercase()));
            if let Some(email) = taken
                && !names.contains(name)
            {
                return Err(Error::exists("user with address", email.as_str()));
            }
        }
        let given: BTreeSet<&str> = asked.users.iter().map(|user| user.username.as_str()).collect();
        let mut orgs: BTreeSet<&OrgId> = asked.orgs.iter().map(|org| &org.id).collect();
        for member in &asked.members {
            let name = member.username.as_str();
            if !given.contains(name) && !names.contains(name) {
                let rule = format!("must name users of the document or the tenant, not `{name}`");
                return Err(Error::invalid("members", rule));
            }
            if !orgs.insert(&member.org) {
                continue;
            }
            let key = OrgKey { tenant: asked.tenant.clone(), org: member.org.clone() };
            if for_org(&key).org(&self.db).await?.is_none() {
                let rule = format!("must be of orgs that are there or given, not `{}`", key.org);
                return Err(Error::invalid("members", rule));
            }
        }
        Ok(())
    }

    /// Refuses files whose bytes are not the org's own, or not there.
    async fn expect_objects(&self, key: &OrgKey, table: &RestoreTable) -> Result<()> {
        let Some(place) = table.columns.iter().position(|name| name == "object_key") else {
            return Ok(());
        };
        let own = file_prefix::of_org(key);
        for object in table.rows.iter().filter_map(|row| row.get(place)?.as_deref()) {
            let there = object.starts_with(&own)
                && self
                    .store
                    .head(object)
                    .await
                    .map_err(|error| storage("no restore", error))?
                    .is_some();
            if !there {
                let message = format!("the bytes of file `{object}` are not in the bucket");
                return Err(Error::precondition("FILE_MISSING", message));
            }
        }
        Ok(())
    }

    pub(super) async fn check_tables(&self, key: &OrgKey, given: &[RestoreTable]) -> Result<()> {
        if given.iter().all(|table| table.rows.is_empty()) {
            return Ok(());
        }
        let mut session = self.data_session(key).await?;
        session.begin_snapshot().await?;
        let checked = async {
            let there = session.tables().await?;
            Ok::<_, Error>(match_tables(key, &there, given)?.len())
        };
        let checked = checked.await;
        session.finish(checked).await.map(drop)
    }
}

/// The tables that rows are given for, each with them, in the order of `there`.
pub(super) fn match_tables<'a>(
    key: &OrgKey,
    there: &'a [Table],
    given: &'a [RestoreTable],
) -> Result<Vec<(&'a Table, &'a RestoreTable, Vec<usize>)>> {
    let mut given: BTreeMap<(&str, &str), &RestoreTable> = given
        .iter()
        .filter(|table| !table.rows.is_empty())
        .map(|table| ((table.schema.as_str(), table.name.as_str()), table))
        .collect();
    let mut matched = Vec::new();
    for table in there {
        if let Some(given) = given.remove(&(table.schema.as_str(), table.name.as_str())) {
            matched.push((table, given, places(table, given)?));
        }
    }
    match given.into_keys().next() {
        None => Ok(matched),
        Some((schema, name)) => {
            let message = format!("org `{key}` has no table `{schema}.{name}`");
            Err(Error::precondition("NO_SUCH_TABLE", message))
        }
    }
}

/// Where each of the table's columns is in what is given.
fn places(table: &Table, given: &RestoreTable) -> Result<Vec<usize>> {
    let places = table.columns.iter().map(|name| given.columns.iter().position(|g| g == name));
    let places: Option<Vec<usize>> = places.collect();
    places.filter(|places| places.len() == given.columns.len()).ok_or_else(|| {
        let message = format!("table `{}` has other columns now", table.full_name());
        Error::precondition("TABLE_DIFFERS", message)
    })
}
