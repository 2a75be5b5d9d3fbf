//! The audit trail: append-only, one hash chain per tenant.

#![expect(missing_docs, reason = "columns are documented in the migration")]

use sea_orm::entity::prelude::*;

/// A row of `audit_logs`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_logs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub tenant_id: String,
    pub org_id: String,
    pub actor: String,
    pub user_id: Option<i32>,
    pub action: String,
    pub target: String,
    pub request_id: String,
    pub client_ip: String,
    pub user_agent: String,
    pub details: Json,
    pub created_at: DateTimeUtc,
    pub method: String,
    pub path: String,
    pub status_code: Option<i32>,
    pub duration_ms: Option<i64>,
    pub error: String,
    pub seq: i64,
    pub previous_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

/// No relations: joins are written where they are needed.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
