"""Creates a tenant with an org and waits for its database, knowing nothing of
the API but what its reflection tells. Usage: reflection.py HOST:PORT TENANT;
the token is read from stdin."""

import sys

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

address, tenant = sys.argv[1:]
metadata = [("authorization", "Bearer " + sys.stdin.readline().strip())]
channel = grpc.insecure_channel(address)
reflection = ProtoReflectionDescriptorDatabase(channel)
pool = descriptor_pool.DescriptorPool(reflection)
services = {name.rpartition(".")[2]: name for name in reflection.get_services()}


def call(service, rpc, **request):
    """One call, by names alone."""
    method = pool.FindServiceByName(services[service]).FindMethodByName(rpc)
    answer = message_factory.GetMessageClass(method.output_type)
    message = message_factory.GetMessageClass(method.input_type)()
    json_format.ParseDict(request, message)
    path = f"/{method.containing_service.full_name}/{method.name}"
    stub = channel.unary_unary(
        path,
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return stub(message, metadata=metadata, timeout=60)


call("TenantService", "CreateTenant", id=tenant, name="By reflection")
operation = call("OrgService", "CreateOrg", tenant_id=tenant, id="hq")
while not operation.HasField("finished_at"):
    operation = call("OperationService", "WaitOperation", operation_id=operation.id)
connection = call("OrgService", "GetConnection", tenant_id=tenant, org_id="hq")
print(call("TenantService", "GetTenant", tenant_id=tenant).name, connection.database)

try:
    call("TenantService", "CreateTenant", id="Not An Id")
except grpc.RpcError as refused:
    print(refused.code().name)
