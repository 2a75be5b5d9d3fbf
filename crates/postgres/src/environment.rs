//! How a libpq program is told where to connect.
//!
//! Invariant: the password is in its environment, never in its arguments, and
//! nothing of our own environment but what it needs.

use percent_encoding::percent_decode_str;
use url::Url;

/// The environment of a libpq program that connects as `url` says. All else
/// that libpq would read from our own environment is left out.
pub(crate) fn environment(url: &Url) -> Vec<(&'static str, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut variables = vec![("LC_ALL", "C".to_owned())];
    let mut set = |name, value: &str| {
        if !value.is_empty() {
            variables.push((name, decoded(value)));
        }
    };
    set("PGHOST", url.host_str().unwrap_or_default().trim_matches(['[', ']']));
    set("PGPORT", &url.port().map(|port| port.to_string()).unwrap_or_default());
    set("PGUSER", url.username());
    set("PGPASSWORD", url.password().unwrap_or_default());
    for (key, value) in url.query_pairs() {
        let name = match &*key {
            "host" | "hostaddr" => "PGHOST",
            "port" => "PGPORT",
            "user" => "PGUSER",
            "password" => "PGPASSWORD",
            "sslmode" => "PGSSLMODE",
            "sslrootcert" => "PGSSLROOTCERT",
            "sslcert" => "PGSSLCERT",
            "sslkey" => "PGSSLKEY",
            "options" => "PGOPTIONS",
            _ => continue,
        };
        variables.push((name, value.into_owned()));
    }
    variables.extend(inherited());
    variables
}

/// What a child may know of our own environment.
#[expect(clippy::disallowed_methods, reason = "a child's environment, not our configuration")]
fn inherited() -> impl Iterator<Item = (&'static str, String)> {
    let names = ["PATH", "HOME", "PGPASSFILE", "TMPDIR"];
    names.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)))
}

/// The `--dbname` argument: the database, and how a dead server is noticed.
pub(crate) fn conninfo(database: &str) -> String {
    let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!(
        "dbname='{quoted}' connect_timeout=5 keepalives_idle=30 keepalives_interval=10 \
         keepalives_count=3 tcp_user_timeout=90000"
    )
}
