//! The orgs' sealed repository keys.

use sea_orm::{
    ActiveValue::Set, ConnectionTrait, EntityTrait, TryInsertResult, sea_query::OnConflict,
};

use crate::{
    Context, OrgScope, Result,
    entity::backup_key::{ActiveModel, Column, Entity, Model},
};

impl OrgScope<'_> {
    /// The org's key, if it has one yet.
    pub async fn backup_key(&self, db: &impl ConnectionTrait) -> Result<Option<Model>> {
        Entity::find_by_id((self.tenant_id().to_owned(), self.org_id().to_owned()))
            .one(db)
            .await
            .during("find backup key")
    }

    /// Keeps a key if the org has none: the first one stays. Answers whether
    /// it was kept.
    pub async fn insert_backup_key(
        &self,
        db: &impl ConnectionTrait,
        sealed_key: Vec<u8>,
    ) -> Result<bool> {
        let row = ActiveModel {
            tenant_id: Set(self.tenant_id().into()),
            org_id: Set(self.org_id().into()),
            sealed_key: Set(sealed_key),
            ..Default::default()
        };
        let conflict =
            OnConflict::columns([Column::TenantId, Column::OrgId]).do_nothing().to_owned();
        let inserted = Entity::insert(row)
            .on_conflict(conflict)
            .try_insert()
            .exec_without_returning(db)
            .await
            .during("insert backup key")?;
        Ok(matches!(inserted, TryInsertResult::Inserted(_)))
    }
}
