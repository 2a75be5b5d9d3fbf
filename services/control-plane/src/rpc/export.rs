//! `ExportService`.

use pbjson_types::{ListValue, Value, value::Kind};
use tonic::{Request, Response};
use yuantus_domain::{Email, Error, OrgId, OrgRole, Plan, Result, TenantId, Username};
use yuantus_proto::v1::{self, export_service_server::ExportService};
use yuantus_tenant_data::Values;

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::{
    App,
    export::{OrgData, Restore, RestoreMember, RestoreOrg, RestoreTable, RestoreUser, TenantData},
};

/// What the documents are called that we write and read.
const FORMAT: &str = "yuantus.tenant-export/1";

/// Serves exports.
#[derive(Clone)]
pub struct Exports(pub App);

fn shown(data: TenantData) -> Result<v1::TenantExport> {
    Ok(v1::TenantExport {
        format: FORMAT.to_owned(),
        tenant: Some(convert::tenant(&data.tenant)),
        users: data.users.into_iter().map(convert::user).collect::<Result<_>>()?,
        members: data.members.into_iter().map(convert::member).collect::<Result<_>>()?,
        orgs: data.orgs.into_iter().map(org).collect(),
    })
}

fn org(org: OrgData) -> v1::ExportedOrg {
    let tables = org.tables.into_iter().map(|(table, rows)| v1::ExportedTable {
        schema: table.schema,
        name: table.name,
        columns: table.columns,
        rows: rows.into_iter().map(row).collect(),
    });
    v1::ExportedOrg { id: org.id, name: org.name, tables: tables.collect() }
}

fn row(values: Values) -> ListValue {
    let value = |value: Option<String>| Value {
        kind: Some(value.map_or(Kind::NullValue(0), Kind::StringValue)),
    };
    ListValue { values: values.into_iter().map(value).collect() }
}

fn parse(request: v1::RestoreTenantRequest) -> Result<Restore> {
    if request.format != FORMAT {
        return Err(Error::invalid("format", format!("must be {FORMAT}")));
    }
    let tenant = request.tenant.ok_or_else(|| Error::invalid("tenant", "must be given"))?;
    Ok(Restore {
        tenant: TenantId::parse_new("tenant", &tenant.id)?,
        name: tenant.name,
        plan: Plan::parse(&tenant.plan)?,
        users: request.users.into_iter().map(user).collect::<Result<_>>()?,
        members: request.members.iter().map(member).collect::<Result<_>>()?,
        orgs: request.orgs.into_iter().map(parse_org).collect::<Result<_>>()?,
    })
}

fn user(user: v1::User) -> Result<RestoreUser> {
    Ok(RestoreUser {
        username: Username::parse("users", &user.username)?,
        email: Email::parse_optional("users", &user.email)?,
        name: user.name,
        is_superuser: user.is_superuser,
        is_active: user.is_active,
    })
}

fn member(member: &v1::Member) -> Result<RestoreMember> {
    Ok(RestoreMember {
        org: OrgId::parse("members", &member.org_id)?,
        username: Username::parse("members", &member.username)?,
        roles: OrgRole::parse_all("members", &member.roles)?,
        is_active: member.is_active,
    })
}

fn parse_org(org: v1::ExportedOrg) -> Result<RestoreOrg> {
    Ok(RestoreOrg {
        id: OrgId::parse_new("orgs", &org.id)?,
        name: org.name,
        tables: org.tables.into_iter().map(table).collect::<Result<_>>()?,
    })
}

fn table(table: v1::ExportedTable) -> Result<RestoreTable> {
    let v1::ExportedTable { schema, name, columns, rows } = table;
    let rows = rows.into_iter().map(values).collect::<Result<_>>()?;
    Ok(RestoreTable { schema, name, columns, rows })
}

fn values(row: ListValue) -> Result<Values> {
    let value = |value: Value| match value.kind {
        Some(Kind::StringValue(text)) => Ok(Some(text)),
        Some(Kind::NullValue(_)) | None => Ok(None),
        Some(_) => Err(Error::invalid("rows", "must hold texts and nulls")),
    };
    row.values.into_iter().map(value).collect()
}

#[tonic::async_trait]
impl ExportService for Exports {
    async fn export_tenant(
        &self,
        request: Request<v1::ExportTenantRequest>,
    ) -> Answer<v1::TenantExport> {
        let tenant = convert::tenant_id(&request.get_ref().tenant_id).map_err(status)?;
        let data = self.0.export_tenant(&tenant).await.map_err(status)?;
        Ok(Response::new(shown(data).map_err(status)?))
    }

    async fn restore_tenant(
        &self,
        request: Request<v1::RestoreTenantRequest>,
    ) -> Answer<v1::RestoreTenantResponse> {
        let asked = parse(request.into_inner()).map_err(status)?;
        let tenant_id = asked.tenant.to_string();
        let done = self.0.restore_tenant(asked).await.map_err(status)?;
        Ok(Response::new(v1::RestoreTenantResponse {
            tenant_id,
            rows_restored: convert::count(done.rows),
            rows_unchanged: convert::count(done.unchanged),
            users_restored: convert::count(done.users as u64),
            members_restored: convert::count(done.members as u64),
            orgs_created: done.orgs,
        }))
    }
}
