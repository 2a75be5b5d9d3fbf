//! Users. The tenant `platform` has users like any other.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, ExprTrait, Func, extension::postgres::PgExpr},
};
use yuantus_domain::Username;

use crate::{
    Context, Result, TenantScope,
    entity::user::{ActiveModel, Column, Entity, Model},
};

/// A user to be recorded.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    /// The id, where it is not to be the next one.
    pub id: Option<i32>,
    /// The tenant's id, or `platform`.
    pub tenant: &'a str,
    /// Unique within the tenant.
    pub username: &'a Username,
    /// May be empty.
    pub email: &'a str,
    /// A PHC string.
    pub password_hash: String,
    /// Role names.
    pub roles: &'a [&'a str],
}

/// What to change of a user; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The address; may be empty.
    pub email: Option<String>,
    /// Whether the user may log in.
    pub is_active: Option<bool>,
    /// The names of all roles.
    pub roles: Option<Vec<&'static str>>,
    /// A PHC string.
    pub password_hash: Option<String>,
}

/// The ids after `$1` are the next ones: who chose that id must meet nobody.
const SKIP: &str = "SELECT setval(pg_get_serial_sequence('users', 'id'),
    greatest($1, (SELECT max(id) FROM users)))";

/// Records a user.
pub async fn insert(db: &impl ConnectionTrait, new: NewUser<'_>) -> Result<Model> {
    let inserted = ActiveModel {
        id: new.id.map_or(NotSet, Set),
        tenant_id: Set(new.tenant.into()),
        username: Set(new.username.as_str().into()),
        email: Set(new.email.into()),
        password_hash: Set(new.password_hash),
        roles: Set(serde_json::json!(new.roles)),
        ..Default::default()
    }
    .insert(db)
    .await
    .during("insert user")?;
    if let Some(id) = new.id {
        let skip = Statement::from_sql_and_values(DbBackend::Postgres, SKIP, [id.into()]);
        db.query_one_raw(skip).await.during("skip user ids")?;
    }
    Ok(inserted)
}

/// The user of that name in a tenant (or `platform`).
pub async fn find(
    db: &impl ConnectionTrait,
    tenant: &str,
    username: &str,
) -> Result<Option<Model>> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Username.eq(username))
        .one(db)
        .await
        .during("find user")
}

/// The user of that address, in any case, in a tenant (or `platform`).
pub async fn find_by_email(
    db: &impl ConnectionTrait,
    tenant: &str,
    email: &str,
) -> Result<Option<Model>> {
    if email.is_empty() {
        return Ok(None);
    }
    Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Email.ne(""))
        .filter(Func::lower(Expr::col(Column::Email)).eq(Func::lower(Expr::val(email))))
        .one(db)
        .await
        .during("find user by email")
}

/// The user of that id.
pub async fn by_id(db: &impl ConnectionTrait, id: i32) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(db).await.during("find user by id")
}

/// The user of that id, who stays as it is until the transaction ends.
pub async fn lock_by_id(db: &impl ConnectionTrait, id: i32) -> Result<Option<Model>> {
    Entity::find_by_id(id).lock_shared().one(db).await.during("lock user")
}

/// Whether any user of the tenant has, or had before it was deactivated, that
/// role.
pub async fn any_with_role(db: &impl ConnectionTrait, tenant: &str, role: &str) -> Result<bool> {
    let found = Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Expr::col(Column::Roles).contains(serde_json::json!([role])))
        .one(db)
        .await;
    Ok(found.during("look for users of role")?.is_some())
}

impl TenantScope<'_> {
    /// Records the name by which people know a user.
    pub async fn name_user(&self, db: &impl ConnectionTrait, id: i32, name: &str) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::Name, Expr::value(name))
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::Id.eq(id))
            .exec(db)
            .await
            .during("name user")
            .map(drop)
    }

    /// One user.
    pub async fn user(&self, db: &impl ConnectionTrait, id: i32) -> Result<Option<Model>> {
        Entity::find_by_id(id)
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .one(db)
            .await
            .during("find user of tenant")
    }

    /// At most `limit` users whose ids come after `after`, in the ids' order.
    pub async fn users(
        &self,
        db: &impl ConnectionTrait,
        after: Option<i32>,
        limit: usize,
    ) -> Result<Vec<Model>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .order_by_asc(Column::Id)
            .limit(limit as u64);
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after));
        }
        query.all(db).await.during("list users")
    }

    /// How many users there are.
    pub async fn count_users(&self, db: &impl ConnectionTrait) -> Result<u64> {
        Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .count(db)
            .await
            .during("count users")
    }

    /// The ids of all active users of a role, whose rows stay locked until the
    /// transaction ends: what takes an administrator away takes turns here.
    pub async fn lock_active_with_role(
        &self,
        db: &impl ConnectionTrait,
        role: &str,
    ) -> Result<Vec<i32>> {
        let users = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::IsActive.eq(true))
            .filter(Expr::col(Column::Roles).contains(serde_json::json!([role])))
            .order_by_asc(Column::Id)
            .lock_exclusive()
            .all(db)
            .await
            .during("lock users of role")?;
        Ok(users.iter().map(|user| user.id).collect())
    }

    /// Changes a user; `None` where there is none.
    pub async fn update_user(
        &self,
        db: &impl ConnectionTrait,
        id: i32,
        change: Change,
    ) -> Result<Option<Model>> {
        let mut update = Entity::update_many()
            .col_expr(Column::UpdatedAt, Expr::current_timestamp())
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::Id.eq(id));
        if let Some(email) = change.email {
            update = update.col_expr(Column::Email, Expr::value(email));
        }
        if let Some(is_active) = change.is_active {
            update = update.col_expr(Column::IsActive, Expr::value(is_active));
        }
        if let Some(roles) = change.roles {
            update = update.col_expr(Column::Roles, Expr::value(serde_json::json!(roles)));
        }
        if let Some(hash) = change.password_hash {
            update = update.col_expr(Column::PasswordHash, Expr::value(hash));
        }
        let updated = update.exec_with_returning(db).await.during("update user")?;
        Ok(updated.into_iter().next())
    }

    /// Deletes a user, with memberships and sessions; answers whether there
    /// was one.
    pub async fn delete_user(&self, db: &impl ConnectionTrait, id: i32) -> Result<bool> {
        let deleted = Entity::delete_many()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::Id.eq(id))
            .exec(db)
            .await
            .during("delete user")?;
        Ok(deleted.rows_affected == 1)
    }
}
