//! Members of orgs.

use serde_json::{Map, json};
use yuantus_auth::caller;
use yuantus_domain::{Error, OrgKey, OrgRole, PageSize, Result, Username, org_role::MEMBER};
use yuantus_identity::{
    entity::user::Model as User,
    for_org, for_tenant,
    query::{
        member::{Change, MemberAndUser},
        user,
    },
};

use super::{App, Page, audit, org_name, page, user::Counted};

/// Whom AddMember is about.
#[derive(Debug)]
pub enum Who {
    /// The user of this id.
    Id(i32),
    /// The user of this name.
    Name(Username),
}

fn member_name(key: &OrgKey, user: i32) -> String {
    format!("{}/members/{user}", org_name(key))
}

impl App {
    /// Makes a user of the org's tenant a member of the org.
    pub async fn add_member(
        &self,
        key: &OrgKey,
        who: &Who,
        roles: Vec<OrgRole>,
        is_active: bool,
    ) -> Result<MemberAndUser> {
        caller::principal()?.may_act_for(&key.tenant)?;
        self.org(key).await?;
        let found = match who {
            Who::Id(id) => for_tenant(&key.tenant).user(&self.db, *id).await?,
            Who::Name(name) => user::find(&self.db, key.tenant.as_str(), name.as_str()).await?,
        };
        let user = found.ok_or_else(|| match who {
            Who::Id(id) => Error::not_found("user", id),
            Who::Name(name) => Error::not_found("user", name.as_str()),
        })?;
        let roles = match roles.is_empty() {
            true => vec![OrgRole::parse("roles", MEMBER)?],
            false => roles,
        };
        let txn = self.begin().await?;
        let member = for_org(key).insert_member(&txn, user.id, &roles, is_active).await;
        let member = member.map_err(|error| match error.is_unique_violation() {
            true => Error::exists("member", &user.username),
            false => error.into(),
        })?;
        let details = json!({ "username": user.username, "roles": roles, "is_active": is_active });
        self.record_member(&txn, "member.add", key, user.id, details).await?;
        self.commit(txn).await?;
        Ok((member, user))
    }

    /// Refuses an org that is not there.
    async fn org(&self, key: &OrgKey) -> Result<()> {
        let found = for_org(key).org(&self.db).await?;
        found.map(drop).ok_or_else(|| Error::not_found("org", key))
    }

    async fn record_member(
        &self,
        txn: &impl sea_orm::ConnectionTrait,
        action: &'static str,
        key: &OrgKey,
        user: i32,
        details: serde_json::Value,
    ) -> Result<()> {
        let (tenant, org) = (key.tenant.as_str(), key.org.as_str());
        audit::record(txn, action, tenant, org, member_name(key, user), details).await
    }

    async fn user_of_member(&self, key: &OrgKey, id: i32) -> Result<User> {
        let found = for_tenant(&key.tenant).user(&self.db, id).await?;
        found.ok_or_else(|| Error::not_found("member", id))
    }

    /// Reads a page of an org's members, in the order of their users' ids.
    pub async fn list_members(
        &self,
        key: &OrgKey,
        size: PageSize,
        token: &str,
    ) -> Result<Counted<MemberAndUser>> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let after: Option<i32> = page::cursor(token)?;
        self.org(key).await?;
        let rows = for_org(key).members(&self.db, after, page::limit(size)).await?;
        let total = for_org(key).count_members(&self.db).await?;
        Ok(Counted { page: Page::of(rows, size, |(member, _)| member.user_id.to_string()), total })
    }

    /// Changes a membership.
    pub async fn update_member(
        &self,
        key: &OrgKey,
        user: i32,
        change: Change,
    ) -> Result<MemberAndUser> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let row = self.user_of_member(key, user).await?;
        let mut details = Map::new();
        details.extend(change.roles.as_ref().map(|roles| ("roles".into(), json!(roles))));
        details.extend(change.is_active.map(|active| ("is_active".into(), json!(active))));
        let txn = self.begin().await?;
        let updated = for_org(key).update_member(&txn, user, change).await?;
        let updated = updated.ok_or_else(|| Error::not_found("member", user))?;
        self.record_member(&txn, "member.update", key, user, details.into()).await?;
        self.commit(txn).await?;
        Ok((updated, row))
    }

    /// Ends a membership.
    pub async fn remove_member(&self, key: &OrgKey, user: i32) -> Result<()> {
        caller::principal()?.may_act_for(&key.tenant)?;
        let txn = self.begin().await?;
        if !for_org(key).delete_member(&txn, user).await? {
            return Err(Error::not_found("member", user));
        }
        self.record_member(&txn, "member.remove", key, user, json!({})).await?;
        self.commit(txn).await
    }
}
