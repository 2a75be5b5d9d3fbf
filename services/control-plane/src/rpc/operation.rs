//! `OperationService`.

use std::{pin::Pin, time::Duration};

use futures::{Stream, StreamExt};
use tonic::{Request, Response, Status};
use yuantus_domain::{Error, OperationState, OperationType, OrgId, PageSize, Result, TenantId};
use yuantus_identity::query::operation::Filter;
use yuantus_proto::v1::{self, operation_service_server::OperationService};

use super::{
    convert,
    status::{Answer, status},
};
use crate::app::App;

/// Serves operations.
#[derive(Clone)]
pub struct Operations(pub App);

fn parse_filter(request: &v1::ListOperationsRequest) -> Result<Filter> {
    use v1::operation::State;
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let state = State::try_from(request.state)
        .map_err(|_| Error::invalid("state", "must be a state of operations"))?;
    Ok(Filter {
        tenant: some(&request.tenant_id).map(|id| TenantId::parse("tenant_id", &id)).transpose()?,
        org: some(&request.org_id).map(|id| OrgId::parse("org_id", &id)).transpose()?,
        state: match state {
            State::Unspecified => None,
            State::Pending => Some(OperationState::Pending),
            State::Running => Some(OperationState::Running),
            State::Succeeded => Some(OperationState::Succeeded),
            State::Failed => Some(OperationState::Failed),
            State::Cancelled => Some(OperationState::Cancelled),
        },
        kind: some(&request.r#type)
            .map(|name| {
                let rule = "must be a type of operations";
                OperationType::parse(&name).ok_or_else(|| Error::invalid("type", rule))
            })
            .transpose()?,
    })
}

fn parse_timeout(seconds: i32) -> Result<Duration> {
    match seconds {
        0 => Ok(Duration::from_secs(30)),
        1..=300 => Ok(Duration::from_secs(seconds.unsigned_abs().into())),
        _ => Err(Error::invalid("timeout_seconds", "must be 1 to 300")),
    }
}

#[tonic::async_trait]
impl OperationService for Operations {
    type WatchOperationStream = Pin<Box<dyn Stream<Item = Result<v1::Operation, Status>> + Send>>;

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Answer<v1::Operation> {
        let id = convert::uuid("operation_id", &request.get_ref().operation_id).map_err(status)?;
        let found = self.0.get_operation(id).await.map_err(status)?;
        Ok(Response::new(convert::operation(found).map_err(status)?))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Answer<v1::ListOperationsResponse> {
        let request = request.into_inner();
        let filter = parse_filter(&request).map_err(status)?;
        let size = PageSize::parse(request.page_size).map_err(status)?;
        let token = &request.page_token;
        let page = self.0.list_operations(filter, size, token).await.map_err(status)?;
        let operations = page.items.into_iter().map(convert::operation).collect::<Result<_>>();
        Ok(Response::new(v1::ListOperationsResponse {
            operations: operations.map_err(status)?,
            next_page_token: page.next,
        }))
    }

    async fn wait_operation(
        &self,
        request: Request<v1::WaitOperationRequest>,
    ) -> Answer<v1::Operation> {
        let request = request.get_ref();
        let id = convert::uuid("operation_id", &request.operation_id).map_err(status)?;
        let timeout = parse_timeout(request.timeout_seconds).map_err(status)?;
        let ended = self.0.wait_operation(id, timeout).await.map_err(status)?;
        Ok(Response::new(convert::operation(ended).map_err(status)?))
    }

    async fn watch_operation(
        &self,
        request: Request<v1::WatchOperationRequest>,
    ) -> Answer<Self::WatchOperationStream> {
        let id = convert::uuid("operation_id", &request.get_ref().operation_id).map_err(status)?;
        let changes = self.0.watch_operation(id).await.map_err(status)?;
        let shown = changes.map(|row| row.and_then(convert::operation).map_err(status));
        Ok(Response::new(Box::pin(shown)))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Answer<v1::Operation> {
        let id = convert::uuid("operation_id", &request.get_ref().operation_id).map_err(status)?;
        let operation = self.0.cancel_operation(id).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }

    async fn retry_operation(
        &self,
        request: Request<v1::RetryOperationRequest>,
    ) -> Answer<v1::Operation> {
        let id = convert::uuid("operation_id", &request.get_ref().operation_id).map_err(status)?;
        let operation = self.0.retry_operation(id).await.map_err(status)?;
        Ok(Response::new(convert::operation(operation).map_err(status)?))
    }
}
