//! Numbers of 64 bits, which proto3's JSON writes as text, as numbers where
//! clients of runbook 004's system read them: in the audit trail by limit and
//! offset.

use serde_json::{Value, json};

/// The RPC whose answers have numbers.
const RPC: &str = "/yuantus.controlplane.v1.AuditService/ListAuditItems";
/// What is a number in each of its items.
const FIELDS: [&str; 2] = ["id", "seq"];

/// The answer of this RPC with its numbers as numbers.
pub fn plain(rpc: &str, body: Vec<u8>) -> Vec<u8> {
    if rpc != RPC {
        return body;
    }
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
    for item in answer["items"].as_array_mut().into_iter().flatten() {
        for name in FIELDS {
            if let Some(number) = item[name].as_str().and_then(|text| text.parse::<i64>().ok()) {
                item[name] = number.into();
            }
        }
    }
    answer.to_string().into_bytes()
}

/// Says so in the OpenAPI document, to the schemas of the contract's messages.
pub fn describe(schemas: &mut Value) {
    let mut item = schemas["yuantus.controlplane.v1.AuditLog"].clone();
    for name in FIELDS {
        item["properties"][name]["type"] = json!("integer");
    }
    let answer = &mut schemas["yuantus.controlplane.v1.ListAuditItemsResponse"];
    answer["properties"]["items"]["items"] = item;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_items_are_numbers_and_nothing_else_is_touched() {
        let body = || br#"{"items":[{"hash":"12","id":"7","seq":"3"}],"total":1}"#.to_vec();
        let expected = br#"{"items":[{"hash":"12","id":7,"seq":3}],"total":1}"#;
        assert_eq!(plain(RPC, body()), expected);
        assert_eq!(plain("/x/Y", body()), body());
        assert_eq!(plain(RPC, b"not JSON".to_vec()), b"not JSON");
    }
}
