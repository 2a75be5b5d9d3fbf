//! The table that says which HTTP method and path is which RPC: the gateway
//! authorises by it before anything is decoded.

use std::{error::Error, fmt::Write as _};

use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor, Value};

/// One `google.api.http` binding.
pub struct Binding {
    /// `GET`, `POST` …
    pub verb: String,
    /// The path template.
    pub template: String,
}

/// All bindings of a method, `additional_bindings` included.
pub fn bindings(pool: &DescriptorPool, method: &MethodDescriptor) -> Vec<Binding> {
    let Some(extension) = pool.get_extension_by_name("google.api.http") else {
        return Vec::new();
    };
    let options = method.options();
    if !options.has_extension(&extension) {
        return Vec::new();
    }
    let mut found = Vec::new();
    if let Value::Message(rule) = options.get_extension(&extension).as_ref() {
        collect(rule, &mut found);
    }
    found
}

fn collect(rule: &DynamicMessage, found: &mut Vec<Binding>) {
    for verb in ["get", "put", "post", "delete", "patch"] {
        if let Some(Value::String(template)) = rule.get_field_by_name(verb).as_deref()
            && !template.is_empty()
        {
            found.push(Binding { verb: verb.to_uppercase(), template: template.clone() });
        }
    }
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        for rule in more.iter().filter_map(Value::as_message) {
            collect(rule, found);
        }
    }
}

/// Renders the table as a Rust constant.
pub fn render(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut code = String::from("&[\n");
    for service in pool.services().filter(|s| s.package_name().starts_with("yuantus.")) {
        for method in service.methods() {
            let rpc = format!("/{}/{}", service.full_name(), method.name());
            for Binding { verb, template } in bindings(pool, &method) {
                let streams = method.is_server_streaming();
                let waits = method.input().get_field_by_name("timeout_seconds").is_some();
                writeln!(
                    code,
                    "Route {{ rpc: {rpc:?}, verb: {verb:?}, template: {template:?}, \
                     streams: {streams}, waits: {waits} }},"
                )?;
            }
        }
    }
    code.push(']');
    Ok(code)
}
