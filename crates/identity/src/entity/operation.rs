//! Operations: the queue and the API's long-running operation in one.

#![expect(missing_docs, reason = "columns are documented in the migration")]

use sea_orm::entity::prelude::*;

/// A row of `operations`.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "operations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub seq: i64,
    #[sea_orm(column_name = "type")]
    pub kind: String,
    pub tenant_id: String,
    pub org_id: String,
    pub lane: String,
    pub state: String,
    pub input: Json,
    pub target: String,
    pub scope: String,
    pub idempotency_key: Option<String>,
    pub request_hash: Vec<u8>,
    pub actor: String,
    pub request_id: String,
    pub steps: Json,
    pub step: i32,
    pub attempt: i32,
    pub max_attempts: i32,
    pub run_at: DateTimeUtc,
    pub epoch: i64,
    pub node_id: Option<String>,
    pub lease_expires_at: Option<DateTimeUtc>,
    pub cancel_requested: bool,
    pub unwinding: bool,
    pub reason: String,
    pub error_reason: String,
    pub error_message: String,
    pub progress_done: i64,
    pub progress_total: i64,
    pub progress_unit: String,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub updated_at: DateTimeUtc,
    pub warnings: Json,
}

/// No relations: joins are written where they are needed.
#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
