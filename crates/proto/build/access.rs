//! The table of who may call which RPC, from the `access` option of every
//! method. A method without it is left out: nobody may call it.

use std::{error::Error, fmt::Write as _};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, ReflectMessage, Value};

use crate::routes;

const OPTION: &str = "yuantus.controlplane.v1.access";

/// Renders the table as a Rust constant.
pub fn render(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let extension = pool.get_extension_by_name(OPTION).ok_or("access.proto has no option")?;
    let mut code = String::from("&[\n");
    for service in pool.services().filter(|s| s.package_name().starts_with("yuantus.")) {
        for method in service.methods() {
            let options = method.options();
            if !options.has_extension(&extension) {
                continue;
            }
            let option = options.get_extension(&extension);
            let access = option.as_message().ok_or("the option is no message")?;
            let (permission, scope) = (word(access, "permission")?, word(access, "scope")?);
            let rpc = format!("/{}/{}", service.full_name(), method.name());
            let names_tenant = method.input().get_field_by_name("tenant_id").is_some();
            let reads = reads(pool, &method);
            writeln!(
                code,
                "MethodAccess {{ rpc: {rpc:?}, permission: Permission::{permission}, \
                 scope: Scope::{scope}, names_tenant: {names_tenant}, reads: {reads} }},"
            )?;
        }
    }
    code.push(']');
    Ok(code)
}

/// Whether the method's first route is a GET.
fn reads(pool: &DescriptorPool, method: &MethodDescriptor) -> bool {
    routes::bindings(pool, method).first().is_some_and(|binding| binding.verb == "GET")
}

/// The word of an enum's value as prost writes it in Rust.
fn word(access: &DynamicMessage, field: &str) -> Result<String, Box<dyn Error>> {
    let described = access.descriptor().get_field_by_name(field).ok_or("no such field")?;
    let kind = described.kind();
    let words = kind.as_enum().ok_or("the field is no enum")?;
    let value = access.get_field(&described);
    let Value::EnumNumber(number) = *value else { return Err("the field is no enum".into()) };
    let value = words.get_value(number).ok_or("no such value")?;
    let own = value.name().trim_start_matches(&format!("{}_", field.to_uppercase())).to_owned();
    let camel = own.split('_').map(|part| {
        let (first, rest) = part.split_at(1);
        format!("{first}{}", rest.to_lowercase())
    });
    Ok(camel.collect())
}
