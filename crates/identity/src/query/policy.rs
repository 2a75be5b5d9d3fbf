//! Policies of tenants.

use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder,
    prelude::Json,
};

use crate::{
    Context, Result, TenantScope,
    entity::policy::{ActiveModel, Column, Entity, Model},
};

/// A version of a policy to be recorded.
#[derive(Clone, Debug)]
pub struct NewPolicy<'a> {
    /// What it is for.
    pub area: &'a str,
    /// Which version it is.
    pub version: i32,
    /// What it says.
    pub policy: Json,
    /// Who records it.
    pub created_by: String,
}

impl TenantScope<'_> {
    /// A version of a policy; the newest if `None`.
    pub async fn policy(
        &self,
        db: &impl ConnectionTrait,
        area: &str,
        version: Option<i32>,
    ) -> Result<Option<Model>> {
        let mut query = Entity::find()
            .filter(Column::TenantId.eq(self.tenant.as_str()))
            .filter(Column::Area.eq(area))
            .order_by_desc(Column::Version);
        if let Some(version) = version {
            query = query.filter(Column::Version.eq(version));
        }
        query.one(db).await.during("find policy")
    }

    /// Records a version of a policy.
    pub async fn insert_policy(
        &self,
        db: &impl ConnectionTrait,
        new: NewPolicy<'_>,
    ) -> Result<Model> {
        ActiveModel {
            tenant_id: Set(self.tenant.to_string()),
            area: Set(new.area.to_owned()),
            version: Set(new.version),
            policy: Set(new.policy),
            created_by: Set(new.created_by),
            created_at: NotSet,
        }
        .insert(db)
        .await
        .during("insert policy")
    }
}
