//! Compiles `proto/` without a `protoc` on the machine and generates, from the
//! one descriptor set, everything that speaks the contract.

mod access;
mod openapi;
mod problem;
mod routes;

use std::{error::Error, fs, path::PathBuf};

use prost_reflect::DescriptorPool;
use rest_over_grpc::build::{DescriptorOptions, Generator, OpenApiInfo, ServiceDefinition};

const PACKAGE: &str = ".yuantus.controlplane.v1";
const ROOT: &str = "../../proto";
const FILES: [&str; 15] = [
    "api_key",
    "audit",
    "auth",
    "backup",
    "customer",
    "export",
    "file",
    "member",
    "migration",
    "operation",
    "org",
    "policy",
    "session",
    "tenant",
    "user",
];

/// Messages that hold a password, a token or a key: their `Debug` is written
/// by hand in `src/redacted.rs`.
const SECRET: [&str; 12] = [
    "BackupKey",
    "ChangePasswordRequest",
    "Connection",
    "CreateApiKeyResponse",
    "CreateTenantRequest",
    "CreateUserRequest",
    "DownloadUrl",
    "LoginRequest",
    "LoginResponse",
    "LoginToPlatformRequest",
    "RefreshTokenRequest",
    "ResetPasswordRequest",
];

#[expect(clippy::disallowed_methods, reason = "cargo tells build scripts by the environment")]
fn main() -> Result<(), Box<dyn Error>> {
    rerun_if_changed();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    for file in FILES {
        compiler.open_file(format!("yuantus/controlplane/v1/{file}.proto"))?;
    }
    compiler.open_file("envoy/service/auth/v3/external_auth.proto")?;
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptor_set.bin"), &encoded)?;

    messages(compiler.file_descriptor_set(), &encoded)?;
    rest(&encoded, &out)?;
    let pool = DescriptorPool::decode(encoded.as_slice())?;
    fs::write(out.join("routes.rs"), routes::render(&pool)?)?;
    fs::write(out.join("access.rs"), access::render(&pool)?)?;
    let generated = fs::read_to_string(out.join("yuantus.controlplane.v1.openapi.json"))?;
    fs::write(out.join("openapi.json"), openapi::complete(&generated, &pool)?)?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "cargo reads build scripts' output")]
fn rerun_if_changed() {
    println!("cargo:rerun-if-changed={ROOT}");
    println!("cargo:rerun-if-changed=build");
}

/// Messages, clients, servers, and their proto3 JSON.
fn messages(
    descriptors: tonic_prost_build::FileDescriptorSet,
    encoded: &[u8],
) -> Result<(), Box<dyn Error>> {
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .skip_debug(SECRET.map(|message| format!("{PACKAGE}.{message}")))
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(encoded)?
        .extern_path(".google.protobuf", "::pbjson_types")
        .preserve_proto_field_names()
        .emit_fields()
        .build(&[PACKAGE])?;
    Ok(())
}

/// The REST routes over the same services, and a first OpenAPI document.
fn rest(encoded: &[u8], out: &std::path::Path) -> Result<(), Box<dyn Error>> {
    let options =
        DescriptorOptions::new().package(PACKAGE).extern_path(".google.protobuf", "::pbjson_types");
    let info = OpenApiInfo::new("Yuantus control plane", "v1").add_server("/");
    let mut generator = Generator::builder().emit_openapi_spec(Some(info)).build();
    generator.add_all(ServiceDefinition::from_fds(encoded, &options)?);
    generator.write(out)?;
    Ok(())
}
