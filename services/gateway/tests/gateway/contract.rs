//! What must hold for every RPC of the contract.

use prost_reflect::DescriptorPool;
use yuantus_gateway::openapi;
use yuantus_proto::{
    FILE_DESCRIPTOR_SET,
    access::{ACCESS, Permission, Scope, access_of},
    rest::ROUTES,
};

fn rpcs() -> Vec<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let ours = pool.services().filter(|service| service.package_name().starts_with("yuantus."));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| format!("/{}/{}", method.parent_service().full_name(), method.name()))
        .collect()
}

#[test]
fn every_rpc_says_who_may_call_it_and_has_a_route() {
    let rpcs = rpcs();
    assert!(rpcs.len() > 20);
    for rpc in &rpcs {
        let access = access_of(rpc).unwrap_or_else(|| panic!("{rpc} has no option (access)"));
        assert_ne!(access.permission, Permission::Unspecified, "{rpc} names no permission");
        assert_ne!(access.scope, Scope::Unspecified, "{rpc} names no scope");
        assert!(ROUTES.iter().any(|route| route.rpc == rpc), "{rpc} has no route");
    }
    assert_eq!(ACCESS.len(), rpcs.len());
}

#[test]
fn every_route_is_described() {
    let document = openapi::build();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    for route in ROUTES {
        let operation = &document["paths"][route.template][route.verb.to_lowercase()];
        assert!(!operation["description"].as_str().unwrap().is_empty(), "{}", route.rpc);
        let public = access_of(route.rpc).unwrap().permission == Permission::Public;
        assert_eq!(operation["security"].as_array().unwrap().is_empty(), public, "{}", route.rpc);
        let responses = &operation["responses"];
        assert_eq!(responses["default"]["$ref"], "#/components/responses/Problem");
        assert!(responses["200"]["content"].is_object(), "{}", route.rpc);
        for error in ["400", "500", "503", "504"].iter().chain((!public).then_some(&"401")) {
            assert!(responses[*error]["$ref"].is_string(), "{error} of {}", route.rpc);
        }
        for parameter in operation["parameters"].as_array().unwrap() {
            let text = parameter["description"].as_str();
            assert!(text.is_some_and(|text| !text.is_empty()), "{parameter} of {}", route.rpc);
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(!schema["description"].as_str().unwrap().is_empty(), "{name}");
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(!property["description"].as_str().unwrap().is_empty(), "{name}.{field}");
            assert!(!field.contains(char::is_uppercase), "{name}.{field} is not snake_case");
        }
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = openapi::build();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
}
