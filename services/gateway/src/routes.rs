//! Which RPC an HTTP method and path is, known before anything is decoded.
//!
//! The adapters' routes are here too, which the transcoder does not know.
//!
//! Invariant: for every other request this table and the transcoder name the same
//! RPC or none: literal segments win over captures from left to right, a
//! capture is one segment that is not empty, and a trailing `:verb` is
//! literal. A test compares the two.

use http::Method;
use yuantus_proto::rest::{ROUTES, Route};

use crate::adapters;

enum Segment {
    Literal(&'static str),
    Capture(&'static str),
}

struct Entry {
    route: &'static Route,
    segments: Vec<Segment>,
    verb: Option<&'static str>,
}

/// What a method and path are.
pub enum Found {
    /// An RPC, and what its path captured.
    Rpc(&'static Route, Vec<(&'static str, String)>),
    /// A path that other methods have; these.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

/// The routes by how many segments they have, the more literal first.
pub struct RouteTable {
    entries: Vec<Vec<Entry>>,
}

impl RouteTable {
    /// The routes of the contract.
    pub fn new() -> Self {
        let mut entries: Vec<Vec<Entry>> = Vec::new();
        for entry in ROUTES.iter().chain(adapters::routes()).map(Entry::parse) {
            let length = entry.segments.len();
            entries.resize_with(entries.len().max(length + 1), Vec::new);
            entries[length].push(entry);
        }
        for same_length in &mut entries {
            same_length.sort_by_key(Entry::captures);
        }
        Self { entries }
    }

    /// Finds the RPC; `HEAD` asks for what `GET` has.
    pub fn find(&self, method: &Method, path: &str) -> Found {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        let (body, verb) = split_verb(path);
        let segments = split(body);
        let mut others = Vec::new();
        let entries = self.entries.get(segments.len()).into_iter().flatten();
        for entry in entries.filter(|entry| entry.verb == verb) {
            let Some(captured) = entry.capture(&segments) else {
                continue;
            };
            if entry.route.verb == method.as_str() {
                return Found::Rpc(entry.route, captured);
            }
            if !others.contains(&entry.route.verb) {
                others.push(entry.route.verb);
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }
}

impl Entry {
    fn parse(route: &'static Route) -> Self {
        let (body, verb) = split_verb(route.template);
        let segments = split(body).into_iter().map(|segment| {
            match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => Segment::Capture(name),
                None => Segment::Literal(segment),
            }
        });
        Self { route, segments: segments.collect(), verb }
    }

    /// Sorts literals before captures, from left to right.
    fn captures(&self) -> Vec<bool> {
        self.segments.iter().map(|segment| matches!(segment, Segment::Capture(_))).collect()
    }

    /// What a path of as many segments captures.
    fn capture(&self, path: &[&str]) -> Option<Vec<(&'static str, String)>> {
        let mut captured = Vec::new();
        for (segment, actual) in self.segments.iter().zip(path) {
            match segment {
                Segment::Literal(literal) if literal == actual => {}
                Segment::Capture(name) if !actual.is_empty() => {
                    captured.push((*name, (*actual).to_owned()));
                }
                Segment::Literal(_) | Segment::Capture(_) => return None,
            }
        }
        Some(captured)
    }
}

fn split_verb(path: &str) -> (&str, Option<&str>) {
    match path.rfind([':', '/']).map(|at| path.split_at(at)) {
        Some((body, verb)) if verb.starts_with(':') && verb.len() > 1 => (body, Some(&verb[1..])),
        _ => (path, None),
    }
}

fn split(path: &str) -> Vec<&str> {
    match path.strip_prefix('/').unwrap_or(path) {
        "" => Vec::new(),
        rest => rest.split('/').collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(method: Method, path: &str) -> Option<&'static str> {
        match RouteTable::new().find(&method, path) {
            Found::Rpc(route, _) => route.rpc.rsplit('/').next(),
            Found::OtherMethods(_) | Found::Nothing => None,
        }
    }

    #[test]
    fn paths_are_rpcs() {
        assert_eq!(rpc(Method::GET, "/api/v1/tenants/acme"), Some("GetTenant"));
        assert_eq!(rpc(Method::HEAD, "/api/v1/tenants/acme"), Some("GetTenant"));
        assert_eq!(rpc(Method::POST, "/api/v1/operations/1:wait"), Some("WaitOperation"));
        assert_eq!(rpc(Method::GET, "/api/v1/operations/1:watch"), Some("WatchOperation"));
        for nothing in ["/api/v1/tenants/", "/api/v1/tenants//orgs", "/", "", "/api/v1/tenants/a:b"]
        {
            assert_eq!(rpc(Method::GET, nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_known_path_names_its_methods() {
        let table = RouteTable::new();
        let Found::OtherMethods(methods) = table.find(&Method::DELETE, "/api/v1/tenants") else {
            panic!("no methods");
        };
        assert_eq!(methods, ["POST", "GET"]);
    }
}
