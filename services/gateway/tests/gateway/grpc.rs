//! The same services by gRPC, on the same port.

use tonic::{Code, Request, client::Grpc, codegen::http::uri::PathAndQuery};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;
use yuantus_proto::v1::{
    CreateTenantRequest, GetTenantRequest, ListTenantsRequest, WatchOperationRequest,
    operation_service_client::OperationServiceClient, tenant_service_client::TenantServiceClient,
};

use crate::server::TestServer;

fn create(id: &str) -> CreateTenantRequest {
    CreateTenantRequest { id: id.into(), ..CreateTenantRequest::default() }
}

#[tokio::test]
async fn a_call_is_answered_with_its_request_id() {
    let server = TestServer::start().await;
    let mut client = TenantServiceClient::new(server.channel().await);
    let mut request = server.grpc(create("acme"));
    request.metadata_mut().insert("x-request-id", "r1".parse().unwrap());
    request.metadata_mut().insert("idempotency-key", "k1".parse().unwrap());
    let response = client.create_tenant(request).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "r1");
    assert_eq!(response.into_inner().plan, "k1");
}

#[tokio::test]
async fn errors_carry_their_reason_and_the_request_id() {
    let server = TestServer::start().await;
    let mut client = TenantServiceClient::new(server.channel().await);
    let missing = GetTenantRequest { tenant_id: "acme".into() };
    let error = client.get_tenant(server.grpc(missing)).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.get_details_error_info().unwrap().reason, "NOT_FOUND");
    assert!(error.metadata().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_call_without_a_token_is_unauthenticated() {
    let server = TestServer::start().await;
    let mut client = TenantServiceClient::new(server.channel().await);
    let error = client.list_tenants(Request::new(ListTenantsRequest::default())).await.unwrap_err();
    assert_eq!(error.code(), Code::Unauthenticated);
    assert_eq!(error.get_details_error_info().unwrap().reason, "UNAUTHENTICATED");
    assert!(error.metadata().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_panic_is_an_internal_error_without_details() {
    let server = TestServer::start().await;
    let mut client = TenantServiceClient::new(server.channel().await);
    let error = client.create_tenant(server.grpc(create("panic"))).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, "internal error"));
    assert!(client.create_tenant(server.grpc(create("fine"))).await.is_ok());
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let server = TestServer::start().await;
    for path in
        ["/yuantus.controlplane.v1.TenantService/Purge", "/yuantus.controlplane.v1.Nothing/At"]
    {
        let mut client = Grpc::new(server.channel().await);
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<ListTenantsRequest, ListTenantsRequest>::default();
        let request = server.grpc(ListTenantsRequest::default());
        let path = PathAndQuery::from_static(path);
        let error = client.unary(request, path.clone(), codec).await.unwrap_err();
        assert_eq!(error.code(), Code::Unimplemented, "{path}");
    }
    assert!(server.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn messages_over_a_mebibyte_are_refused() {
    let server = TestServer::start().await;
    let mut client = TenantServiceClient::new(server.channel().await);
    let large = CreateTenantRequest { name: "x".repeat(1024 * 1024), ..create("a") };
    let error = client.create_tenant(server.grpc(large)).await.unwrap_err();
    assert_eq!(error.code(), Code::OutOfRange);
    assert!(server.fake.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stream_runs_for_its_caller_and_may_fail_at_the_end() {
    let server = TestServer::start().await;
    let mut client = OperationServiceClient::new(server.channel().await);
    let watch = |id: &str| server.grpc(WatchOperationRequest { operation_id: id.into() });

    let mut stream = client.watch_operation(watch("o")).await.unwrap().into_inner();
    let mut seen = 0;
    while stream.message().await.unwrap().is_some() {
        seen += 1;
    }
    assert_eq!(seen, 2);

    let mut stream = client.watch_operation(watch("fails")).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(stream.message().await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn health_and_reflection_need_no_token() {
    let server = TestServer::start().await;
    let mut health = HealthClient::new(server.channel().await);
    let checked = health.check(HealthCheckRequest { service: String::new() }).await.unwrap();
    assert_eq!(
        checked.into_inner().status(),
        tonic_health::pb::health_check_response::ServingStatus::Serving
    );

    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client =
        v1::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    let stream = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    let answer = stream.into_inner().message().await.unwrap().unwrap();
    assert!(format!("{answer:?}").contains("yuantus.controlplane.v1.TenantService"));

    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client =
        v1alpha::server_reflection_client::ServerReflectionClient::new(server.channel().await);
    assert!(client.server_reflection_info(futures::stream::iter([ask])).await.is_ok());
}
