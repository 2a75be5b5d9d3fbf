//! From rows to messages.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use pbjson_types::{Struct, Timestamp, value::Kind};
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;
use yuantus_auth::{Role, caller, tenancy::TenantFacts};
use yuantus_domain::{
    BackupState, Error, IdempotencyKey, OperationState, OrgStatus, Result, TenantId, TenantStatus,
};
use yuantus_identity::{entity, query::member::MemberAndUser};
use yuantus_operations::UNDO_ATTEMPTS;
use yuantus_proto::v1;

use crate::app::session::is_current;

/// A time as the API shows it.
pub(super) fn time(at: DateTime<Utc>) -> Option<Timestamp> {
    Some(Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0),
    })
}

/// A UUID that a client gave in `field`.
pub(super) fn uuid(field: &'static str, text: &str) -> Result<Uuid> {
    Uuid::from_str(text).map_err(|_| Error::invalid(field, "must be a UUID"))
}

/// The tenant that the request names, or that of its context.
pub(super) fn tenant_id(text: &str) -> Result<TenantId> {
    if text.is_empty() { caller::tenant() } else { TenantId::parse("tenant_id", text) }
}

/// A number of things as the API shows it.
pub(super) fn count(n: u64) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The client's key, from the message or the header.
pub(super) fn idempotency(request_id: &str) -> Result<Option<IdempotencyKey>> {
    IdempotencyKey::parse(&caller::idempotency_key(request_id))
}

fn unknown(column: &'static str, value: &str) -> Error {
    let value = value.to_owned();
    Error::internal(yuantus_identity::Error::Unknown { column, value })
}

/// A tenant as the API shows it.
pub(super) fn tenant(facts: &TenantFacts) -> v1::Tenant {
    use v1::tenant::Status;
    let shown = match facts.status {
        TenantStatus::Provisioning => Status::Provisioning,
        TenantStatus::Active => Status::Active,
        TenantStatus::Suspended => Status::Suspended,
        TenantStatus::Failed => Status::Failed,
    };
    v1::Tenant {
        id: facts.id.to_string(),
        name: facts.name.clone(),
        status: shown.into(),
        plan: facts.plan.as_str().to_owned(),
        created_at: time(facts.created_at),
        updated_at: time(facts.updated_at),
        is_active: facts.status == TenantStatus::Active,
    }
}

/// An org as the API shows it.
pub(super) fn org(
    (org, database): (entity::org::Model, entity::database::Model),
) -> Result<v1::Org> {
    use v1::org::Status;
    let status =
        OrgStatus::parse(&org.status).ok_or_else(|| unknown("orgs.status", &org.status))?;
    let shown = match status {
        OrgStatus::Provisioning => Status::Provisioning,
        OrgStatus::Active => Status::Active,
        OrgStatus::Failed => Status::Failed,
    };
    Ok(v1::Org {
        tenant_id: org.tenant_id,
        id: org.id,
        name: org.name,
        status: shown.into(),
        reason: told("", org.reason),
        database: database.name,
        revision: database.revision,
        created_at: time(org.created_at),
        updated_at: time(org.updated_at.max(database.updated_at)),
        is_active: status == OrgStatus::Active,
    })
}

/// A user as the API shows it.
pub(super) fn user(row: entity::user::Model) -> Result<v1::User> {
    let roles: Vec<String> = serde_json::from_value(row.roles).map_err(Error::internal)?;
    let admin = [Role::PlatformAdmin, Role::TenantAdmin].map(Role::as_str);
    Ok(v1::User {
        id: row.id,
        tenant_id: row.tenant_id,
        username: row.username,
        email: row.email,
        is_active: row.is_active,
        is_superuser: roles.iter().any(|role| admin.contains(&role.as_str())),
        roles,
        name: row.name,
        created_at: time(row.created_at),
        updated_at: time(row.updated_at),
    })
}

/// A member as the API shows it.
pub(super) fn member((member, user): MemberAndUser) -> Result<v1::Member> {
    Ok(v1::Member {
        tenant_id: member.tenant_id,
        org_id: member.org_id,
        user_id: member.user_id,
        username: user.username,
        email: user.email,
        roles: serde_json::from_value(member.roles).map_err(Error::internal)?,
        is_active: member.is_active,
        created_at: time(member.created_at),
        updated_at: time(member.updated_at),
    })
}

/// What a failure is called for callers who are no platform administrators:
/// its cause may name servers and buckets that are not theirs to know. What
/// the tenant's own migrations and requests came to is told as it is.
fn told(reason: &str, message: String) -> String {
    let told_whole = ["MIGRATION_FAILED", "CANCELLED", "RESTORE_MISMATCH", "BACKUP_NOT_RESTORABLE"]
        .contains(&reason);
    let platform = caller::principal().is_ok_and(|caller| caller.is_platform());
    if platform || told_whole || message.is_empty() {
        return message;
    }
    "the platform could not do it; its administrators can see the cause".into()
}

/// An operation as the API shows it.
pub(super) fn operation(row: entity::operation::Model) -> Result<v1::Operation> {
    use v1::operation::State;
    let state =
        OperationState::parse(&row.state).ok_or_else(|| unknown("operations.state", &row.state))?;
    let shown = match state {
        OperationState::Pending => State::Pending,
        OperationState::Running => State::Running,
        OperationState::Succeeded => State::Succeeded,
        OperationState::Failed => State::Failed,
        OperationState::Cancelled => State::Cancelled,
    };
    let names: Vec<String> = serde_json::from_value(row.steps.clone()).map_err(Error::internal)?;
    let at = usize::try_from(row.step).unwrap_or(0);
    let error = (state == OperationState::Failed).then(|| v1::OperationError {
        reason: row.error_reason.clone(),
        message: told(&row.error_reason, row.error_message.clone()),
    });
    // Why undoing fails is nothing that a tenant is told, whatever it undoes.
    let undoing = row.unwinding && !state.is_final();
    let why = if undoing && row.reason != row.error_message { "" } else { &row.error_reason };
    Ok(v1::Operation {
        id: row.id.to_string(),
        r#type: row.kind,
        tenant_id: row.tenant_id,
        org_id: row.org_id,
        state: shown.into(),
        step: names.get(at).cloned().unwrap_or_default(),
        steps: steps(names, at, state),
        progress: Some(v1::OperationProgress {
            done: row.progress_done,
            total: row.progress_total,
            unit: row.progress_unit,
        }),
        next_attempt_at: (state == OperationState::Pending && !row.reason.is_empty())
            .then_some(row.run_at)
            .and_then(time),
        reason: told(why, row.reason),
        error,
        attempt: row.attempt,
        max_attempts: if row.unwinding { UNDO_ATTEMPTS } else { row.max_attempts },
        cancel_requested: row.cancel_requested,
        target: row.target,
        created_at: time(row.created_at),
        started_at: row.started_at.and_then(time),
        finished_at: row.finished_at.and_then(time),
        undoing,
        warnings: serde_json::from_value(row.warnings).map_err(Error::internal)?,
    })
}

fn steps(names: Vec<String>, at: usize, state: OperationState) -> Vec<v1::OperationStep> {
    use v1::operation_step::State;
    let shown = |position: usize| match position.cmp(&at) {
        std::cmp::Ordering::Less => State::Done,
        std::cmp::Ordering::Equal if state == OperationState::Running => State::Running,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => State::Pending,
    };
    let step = |(position, name)| v1::OperationStep { name, state: shown(position).into() };
    names.into_iter().enumerate().map(step).collect()
}

/// A backup as the API shows it.
pub(super) fn backup(row: entity::backup::Model) -> Result<v1::Backup> {
    use v1::backup::State;
    let state =
        BackupState::parse(&row.state).ok_or_else(|| unknown("backups.state", &row.state))?;
    let (shown, manifest) = match state {
        BackupState::Creating => (State::Creating, None),
        BackupState::Failed => (State::Failed, None),
        // What is said of a verified one is what was mended.
        BackupState::Complete if !row.reason.is_empty() && row.verified_at.is_none() => {
            (State::Damaged, row.manifest)
        }
        BackupState::Complete => (State::Complete, row.manifest),
    };
    Ok(v1::Backup {
        id: row.id.to_string(),
        tenant_id: row.tenant_id,
        org_id: row.org_id,
        state: shown.into(),
        reason: if shown == State::Complete { row.reason } else { told("", row.reason) },
        manifest: manifest.map(self::manifest).transpose()?,
        created_at: time(row.created_at),
        completed_at: row.completed_at.and_then(time),
        verified_at: row.verified_at.and_then(time),
    })
}

fn manifest(stored: serde_json::Value) -> Result<v1::BackupManifest> {
    let manifest: yuantus_backup::Manifest =
        serde_json::from_value(stored).map_err(Error::internal)?;
    let facts = manifest.facts;
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(v1::BackupManifest {
        database: facts.database,
        revision: facts.revision,
        bundle_fingerprint: facts.bundle_fingerprint,
        server_version: facts.server_version,
        dump_bytes: signed(manifest.dump_bytes),
        dump_sha256: manifest.dump_sha256,
        stored_bytes: signed(manifest.stored_bytes),
        tables: facts
            .tables
            .into_iter()
            .map(|t| v1::TableRows { schema: t.schema, table: t.table, rows: t.rows })
            .collect(),
        snapshot_id: manifest.snapshot_id,
    })
}

/// A session as the API shows it.
pub(super) fn session(row: entity::session::Model) -> v1::Session {
    v1::Session {
        id: row.id.to_string(),
        tenant_id: row.tenant_id,
        user_id: row.user_id.unwrap_or_default(),
        org_id: row.org_id.unwrap_or_default(),
        client_ip: row.client_ip,
        user_agent: row.user_agent,
        created_at: time(row.created_at),
        last_used_at: time(row.last_used_at),
        expires_at: time(row.expires_at),
        is_current: is_current(row.id),
    }
}

/// A key as the API shows it.
pub(super) fn api_key(row: entity::api_key::Model) -> v1::ApiKey {
    v1::ApiKey {
        id: row.id.to_string(),
        tenant_id: row.tenant_id,
        org_id: row.org_id.unwrap_or_default(),
        name: row.name,
        prefix: row.prefix,
        role: row.role,
        created_by: row.created_by,
        created_at: time(row.created_at),
        expires_at: row.expires_at.and_then(time),
        last_used_at: row.last_used_at.and_then(time),
    }
}

/// A document as the API shows it; what is no object is none.
pub(super) fn structure(details: Value) -> Struct {
    let fields = match details {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    Struct { fields: fields.into_iter().map(|(name, field)| (name, value(field))).collect() }
}

fn value(value: Value) -> pbjson_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(bool) => Kind::BoolValue(bool),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(items) => {
            let values = items.into_iter().map(self::value).collect();
            Kind::ListValue(pbjson_types::ListValue { values })
        }
        object @ Value::Object(_) => Kind::StructValue(structure(object)),
    };
    pbjson_types::Value { kind: Some(kind) }
}

/// A password that somebody gives.
pub fn password(field: &'static str, password: String) -> Result<SecretString> {
    if password.is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    Ok(password.into())
}
