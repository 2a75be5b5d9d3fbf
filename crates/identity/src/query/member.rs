//! Members of orgs.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use yuantus_domain::OrgRole;

use crate::{
    Context, OrgScope, Result, TenantScope,
    entity::{
        member::{ActiveModel, Column, Entity, Model},
        user,
    },
};

/// A membership with its user.
pub type MemberAndUser = (Model, user::Model);

/// What to change of a membership; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// All roles.
    pub roles: Option<Vec<OrgRole>>,
    /// Whether the member may work in the org.
    pub is_active: Option<bool>,
}

impl OrgScope<'_> {
    /// The membership of a user.
    pub async fn member(&self, db: &impl ConnectionTrait, user: i32) -> Result<Option<Model>> {
        let key = (self.tenant_id().to_owned(), self.org_id().to_owned(), user);
        Entity::find_by_id(key).one(db).await.during("find member")
    }

    /// At most `limit` members whose users' ids come after `after`, in the
    /// ids' order.
    pub async fn members(
        &self,
        db: &impl ConnectionTrait,
        after: Option<i32>,
        limit: usize,
    ) -> Result<Vec<MemberAndUser>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .order_by_asc(Column::UserId)
            .limit(limit as u64);
        if let Some(after) = after {
            query = query.filter(Column::UserId.gt(after));
        }
        let members = query.all(db).await.during("list members")?;
        let ids: Vec<i32> = members.iter().map(|member| member.user_id).collect();
        let users = user::Entity::find()
            .filter(user::Column::TenantId.eq(self.tenant_id()))
            .filter(user::Column::Id.is_in(ids))
            .all(db)
            .await
            .during("list users of members")?;
        Ok(members
            .into_iter()
            .filter_map(|member| {
                let user = users.iter().find(|user| user.id == member.user_id)?.clone();
                Some((member, user))
            })
            .collect())
    }

    /// How many members there are.
    pub async fn count_members(&self, db: &impl ConnectionTrait) -> Result<u64> {
        Entity::find()
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .count(db)
            .await
            .during("count members")
    }

    /// Records that a user is a member.
    pub async fn insert_member(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        roles: &[OrgRole],
        is_active: bool,
    ) -> Result<Model> {
        ActiveModel {
            tenant_id: Set(self.tenant_id().into()),
            org_id: Set(self.org_id().into()),
            user_id: Set(user),
            roles: Set(serde_json::json!(roles)),
            is_active: Set(is_active),
            ..Default::default()
        }
        .insert(db)
        .await
        .during("insert member")
    }

    /// Changes a membership; `None` where there is none.
    pub async fn update_member(
        &self,
        db: &impl ConnectionTrait,
        user: i32,
        change: Change,
    ) -> Result<Option<Model>> {
        let mut update = Entity::update_many()
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant_id()))
            .filter(Column::OrgId.eq(self.org_id()))
            .filter(Column::UserId.eq(user));
        if let Some(roles) = change.roles {
            update = update.col_expr(Column::Roles, Expr::value(serde_json::json!(roles)));
        }
        if let Some(is_active) = change.is_active {
            update = update.col_expr(Column::IsActive, Expr::value(is_active));
        }
        let updated = update.exec_with_returning(db).await.during("update member")?;
        Ok(updated.into_iter().next())
    }

    /// Ends a membership; answers whether there was one.
    pub async fn delete_member(&self, db: &impl ConnectionTrait, user: i32) -> Result<bool> {
        let key = (self.tenant_id().to_owned(), self.org_id().to_owned(), user);
        let deleted = Entity::delete_by_id(key).exec(db).await.during("delete member")?;
        Ok(deleted.rows_affected == 1)
    }
}

impl TenantScope<'_> {
    /// The active memberships of a user, in the order of the orgs' ids.
    pub async fn memberships(&self, db: &impl ConnectionTrait, user: i32) -> Result<Vec<Model>> {
        Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::UserId.eq(user))
            .filter(Column::IsActive.eq(true))
            .order_by_asc(Column::OrgId)
            .all(db)
            .await
            .during("list memberships")
    }
}
