//! Who else can read or write a file that this process believes.
//!
//! Whoever can write the configuration says where the databases are and what
//! passwords are sealed with; whoever can read its secrets has them.

use std::{fs::Metadata, os::unix::fs::PermissionsExt};

use figment::value::{Dict, Value};

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const OTHERS_READ: u32 = 0o004;

/// Keys whose value is a secret, as section and key.
const SECRETS: &[(&str, &str)] = &[
    ("auth", "bootstrap_token"),
    ("auth", "first_owner_password"),
    ("auth", "jwt_secret"),
    ("auth", "previous_jwt_secrets"),
    ("secrets", "key"),
    ("secrets", "previous_keys"),
    ("storage", "secret_access_key"),
];

/// Keys whose value is a URL, which may hold a password.
const URLS: &[(&str, &str)] =
    &[("", "database_url"), ("identity", "database_url"), ("tenants", "database_url_template")];

/// What is wrong with the permissions of a file that says `given`, as the rest
/// of a sentence.
pub(crate) fn objection(file: &Metadata, given: &Dict) -> Option<&'static str> {
    let mode = file.permissions().mode();
    if mode & OTHERS_WRITE != 0 {
        return Some("can be written by everybody; `chmod 640` it");
    }
    if !holds_secrets(given) {
        return None;
    }
    secret_objection(mode)
}

/// What is wrong with the permissions of a file of secrets, as the rest of a
/// sentence.
pub fn secret_objection(mode: u32) -> Option<&'static str> {
    if mode & OTHERS_READ != 0 {
        return Some("holds secrets and can be read by everybody; `chmod 600` it");
    }
    let others = mode & (OTHERS_WRITE | GROUP_WRITES) != 0;
    others.then_some("holds secrets and can be written by others; `chmod 600` it")
}

fn holds_secrets(given: &Dict) -> bool {
    let value = |section: &str, key: &str| match section {
        "" => given.get(key),
        section => given.get(section).and_then(Value::as_dict)?.get(key),
    };
    let is_given = |value: &Value| match value {
        Value::Array(_, items) => !items.is_empty(),
        value => value.as_str().is_none_or(|text| !text.is_empty()),
    };
    // What is before the host: `user:password@`.
    let has_password = |value: &Value| {
        let url = value.as_str().unwrap_or_default();
        let server = url.split_once("://").map_or(url, |(_, rest)| rest);
        server.contains("password=")
            || server.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    };
    SECRETS.iter().any(|(section, key)| value(section, key).is_some_and(is_given))
        || URLS.iter().any(|(section, key)| value(section, key).is_some_and(has_password))
}
