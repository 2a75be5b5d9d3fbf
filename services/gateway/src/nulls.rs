//! `null` for a field that is not given, which proto3's JSON takes for none
//! and many a client writes.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A body without the fields that are `null`. What is deeper is as it was, and
/// so is a body that is no object.
pub fn without(body: Bytes) -> Bytes {
    if !body.windows(4).any(|word| word == b"null") {
        return body;
    }
    let Ok(mut fields) = serde_json::from_slice::<Fields<'_>>(&body) else { return body };
    let all = fields.0.len();
    fields.0.retain(|(_, value)| value.get() != "null");
    if fields.0.len() == all {
        return body;
    }
    // What was read can be written.
    serde_json::to_vec(&fields).map_or(body.clone(), Bytes::from)
}

/// An object's fields in their order, one that is there twice twice.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_null_are_left_out_and_nothing_else_is_touched() {
        for (body, expected) in [
            (r#"{"a":null}"#, "{}"),
            (
                r#"{ "a" : null , "b" : {"c": null, "d": [null]} }"#,
                r#"{"b":{"c": null, "d": [null]}}"#,
            ),
            (r#"{"a":1,"a":2,"é\n":null}"#, r#"{"a":1,"a":2}"#),
            (r#"{"a" : "null"}"#, r#"{"a" : "null"}"#),
            (r#"{"a":[null]}"#, r#"{"a":[null]}"#),
            ("null", "null"),
            (r#"[null]"#, r#"[null]"#),
            (r#"{"a":null"#, r#"{"a":null"#),
            ("", ""),
        ] {
            assert_eq!(without(Bytes::from(body)), expected, "{body}");
        }
    }
}
