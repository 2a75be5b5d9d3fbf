//! What kind of value each field of a request takes: of a request that the
//! transcoder cannot read, which field is at fault, and what it must be. The
//! transcoder itself says at most where in the text it stopped.

use std::{collections::HashMap, sync::LazyLock};

use axum::extract::Query;
use http::Uri;
use serde_json::Value;
use yuantus_domain::{Error, Result};
use yuantus_proto::{OPENAPI, rest::Route};

use crate::services::MAX_REQUEST_BYTES;

/// What a field takes.
#[derive(Debug)]
enum Kind {
    Text,
    Integer,
    Truth,
    Object,
    List,
    OneOf(Vec<String>),
}

/// Fields by their names.
type Fields = HashMap<String, Kind>;

/// The fields of each method and path, of bodies and of queries.
static FIELDS: LazyLock<HashMap<(String, String), Fields>> = LazyLock::new(|| {
    // The contract's build wrote it: it is JSON.
    let doc: Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let schemas = &doc["components"]["schemas"];
    let mut fields = HashMap::new();
    for (path, methods) in doc["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = follow(body, schemas)["properties"].as_object();
            let body = body.into_iter().flatten().map(|(name, schema)| (name.as_str(), schema));
            let query = operation["parameters"].as_array().into_iter().flatten();
            let query = query.filter_map(|field| Some((field["name"].as_str()?, &field["schema"])));
            let known = body.chain(query);
            let known = known.filter_map(|(name, schema)| {
                Some((name.to_owned(), Kind::of(follow(schema, schemas))?))
            });
            fields.insert((method.to_uppercase(), path.clone()), known.collect());
        }
    }
    fields
});

/// The schema itself where there is a name of one.
fn follow<'a>(schema: &'a Value, schemas: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
    name.map_or(schema, |name| &schemas[name])
}

impl Kind {
    /// `None` of what may be several things.
    fn of(schema: &Value) -> Option<Self> {
        if let Some(names) = schema["enum"].as_array() {
            let names = names.iter().filter_map(Value::as_str).map(str::to_owned);
            return Some(Self::OneOf(names.collect()));
        }
        Some(match schema["type"].as_str()? {
            "string" => Self::Text,
            "integer" => Self::Integer,
            "boolean" => Self::Truth,
            "object" => Self::Object,
            "array" => Self::List,
            _ => return None,
        })
    }

    /// Whether a body's field takes it.
    fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => {
                let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
                number.is_some_and(|number| number.fract() == 0.0 && i32_holds(number))
            }
            Self::Truth => value.is_boolean(),
            Self::Object => value.is_object(),
            Self::List => value.is_array(),
            Self::OneOf(names) => match value.as_str() {
                Some(text) => names.iter().any(|name| name == text),
                None => value.is_i64(),
            },
        }
    }

    /// Whether a query's field takes it.
    fn takes_text(&self, text: &str) -> bool {
        match self {
            Self::Truth => matches!(text, "true" | "false"),
            Self::List => true,
            _ => self.takes(&text.into()),
        }
    }

    fn rule(&self) -> String {
        match self {
            Self::Text => "must be text".to_owned(),
            Self::Integer => "must be a whole number of 32 bits".to_owned(),
            Self::Truth => "must be true or false".to_owned(),
            Self::Object => "must be an object".to_owned(),
            Self::List => "must be a list".to_owned(),
            Self::OneOf(names) => format!("must be one of {}", names.join(", ")),
        }
    }
}

fn i32_holds(number: f64) -> bool {
    (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number)
}

/// An error of the first field that does not take what it is given; as good as
/// none where all do.
pub fn check(route: &Route, uri: &Uri, body: &[u8]) -> Result<()> {
    let Some(known) = FIELDS.get(&(route.verb.to_owned(), route.template.to_owned())) else {
        return Ok(());
    };
    let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let query = query.map_or_else(|_| Vec::new(), |Query(query)| query);
    let mut seen = Vec::new();
    for (name, text) in &query {
        let field = snake(name);
        let Some(kind) = known.get(&field) else { continue };
        if !kind.takes_text(text) {
            return Err(Error::invalid(name, kind.rule()));
        }
        if seen.contains(&field) && !matches!(kind, Kind::List) {
            return Err(Error::invalid(name, "must be given once"));
        }
        seen.push(field);
    }
    check_fields(known, body)
}

/// The same of a body alone, which is to be this object.
pub fn check_body(schema: &Value, body: &[u8]) -> Result<()> {
    let known = schema["properties"].as_object().into_iter().flatten();
    let known = known.filter_map(|(name, schema)| Some((name.clone(), Kind::of(schema)?)));
    check_fields(&known.collect(), body)
}

fn check_fields(known: &Fields, body: &[u8]) -> Result<()> {
    // Read whole, a tenant's document would take many times its size.
    if body.len() > MAX_REQUEST_BYTES {
        return Ok(());
    }
    let fields = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err(Error::invalid("body", "must be an object")),
        // What is no JSON is told of by where it ends to be.
        Err(_) => return Ok(()),
    };
    let wrong = fields.iter().find_map(|(name, value)| {
        Some((name, known.get(&snake(name)).filter(|kind| !kind.takes(value))?))
    });
    wrong.map_or(Ok(()), |(name, kind)| Err(Error::invalid(name, kind.rule())))
}

/// The contract's name of a field: clients may write `pageSize`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use yuantus_proto::rest::ROUTES;

    use super::*;

    fn said(verb: &str, target: &str, body: &str) -> Option<String> {
        let uri: Uri = target.parse().unwrap();
        let of = |route: &&Route| route.verb == verb && route.template == uri.path();
        let route = ROUTES.iter().find(of).expect("a route");
        check(route, &uri, body.as_bytes()).err().map(|error| error.to_string())
    }

    #[test]
    fn the_field_at_fault_is_named_with_what_it_must_be() {
        let whole = "must be a whole number of 32 bits";
        for (query, expected) in [
            ("page_size=many", Some(format!("page_size {whole}"))),
            ("pageSize=", Some(format!("pageSize {whole}"))),
            ("page_size=3000000000", Some(format!("page_size {whole}"))),
            ("page_size=1&page_size=2", Some("page_size must be given once".to_owned())),
            ("with_total=maybe", Some("with_total must be true or false".to_owned())),
            ("page_size=10&with_total=true&unknown=1", None),
        ] {
            assert_eq!(said("GET", &format!("/api/v1/tenants?{query}"), ""), expected, "{query}");
        }
        for (body, expected) in [
            (r#"{"id": 1}"#, Some("id must be text")),
            (r#"{"id": "acme", "plan": ["pro"]}"#, Some("plan must be text")),
            ("[]", Some("body must be an object")),
            (r#"{"id": "acme", "unknown": 1}"#, None),
            ("{", None),
        ] {
            let said = said("POST", "/api/v1/tenants", body);
            assert_eq!(said.as_deref(), expected, "{body}");
        }
        let bad = said("GET", "/api/v1/operations?state=LOST", "").unwrap();
        assert!(bad.starts_with("state must be one of ") && bad.contains("RUNNING"), "{bad}");
    }
}
