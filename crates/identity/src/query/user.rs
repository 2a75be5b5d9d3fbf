//! Users.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter,
};
use yuantus_domain::Username;

use crate::{
    Context, Result,
    entity::user::{ActiveModel, Column, Entity, Model},
};

/// A user to be recorded.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
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

/// Records a user.
pub async fn insert(db: &impl ConnectionTrait, new: NewUser<'_>) -> Result<Model> {
    ActiveModel {
        tenant_id: Set(new.tenant.into()),
        username: Set(new.username.as_str().into()),
        email: Set(new.email.into()),
        password_hash: Set(new.password_hash),
        roles: Set(serde_json::json!(new.roles)),
        ..Default::default()
    }
    .insert(db)
    .await
    .during("insert user")
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

/// The user of that id.
pub async fn by_id(db: &impl ConnectionTrait, id: i32) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(db).await.during("find user by id")
}

/// Replaces a user's password hash.
pub async fn set_password_hash(db: &impl ConnectionTrait, id: i32, hash: String) -> Result<()> {
    ActiveModel { id: Set(id), password_hash: Set(hash), ..Default::default() }
        .update(db)
        .await
        .during("set password hash")
        .map(drop)
}
