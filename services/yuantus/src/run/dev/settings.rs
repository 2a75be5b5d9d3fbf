//! The configuration that stands for what `dev` runs.

use std::{net::Ipv4Addr, path::Path};

use secrecy::{ExposeSecret, SecretString};
use yuantus_config::{Config, Purpose};

use super::{Options, secrets::Secrets, servers::Servers};
use crate::{
    failure::Failure,
    run::{begin, refused},
};

/// The worker's name: it takes back at once what a killed `dev` held.
const NODE: &str = "dev";

/// For people, unless the environment or the file says otherwise.
const BELOW: [(&str, &str); 3] = [
    ("YUANTUS_PLATFORM_ADMIN_ENABLED", "true"),
    ("YUANTUS_LOG_FORMAT", "text"),
    ("YUANTUS_LOG_LEVEL", "warn,yuantus=info,yuantus_gateway=warn"),
];

/// Makes the configuration, and begins to log. The environment may say what
/// `dev` does not, such as how many spare databases are kept.
pub(crate) fn load(
    options: &Options,
    port: u16,
    file: Option<&Path>,
    secrets: &Secrets,
    servers: &Servers,
) -> Result<Config, Failure> {
    let below: Vec<_> = match file {
        Some(_) => Vec::new(),
        None => BELOW.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
    };
    let text = |secret: &SecretString| secret.expose_secret().to_owned();
    let bundle = options.bundle.as_ref().map(|path| path.display().to_string());
    let mode = if options.no_login { "disabled" } else { "required" };
    let mut above = vec![
        ("YUANTUS_ENVIRONMENT", "dev".to_owned()),
        ("YUANTUS_HOST", Ipv4Addr::LOCALHOST.to_string()),
        ("YUANTUS_PORT", port.to_string()),
        ("YUANTUS_AUTH_MODE", mode.to_owned()),
        // What `dev` prints are http:// URLs of this machine.
        ("YUANTUS_TLS_CERTIFICATE", String::new()),
        ("YUANTUS_TLS_KEY", String::new()),
        ("YUANTUS_TLS_CLIENT_CA", String::new()),
        ("YUANTUS_TLS_CLIENT_CERTIFICATES", "optional".to_owned()),
        ("YUANTUS_DATABASE_URL", servers.postgres.admin_url().to_string()),
        ("YUANTUS_IDENTITY_DATABASE_URL", String::new()),
        ("YUANTUS_DATABASE_URL_TEMPLATE", String::new()),
        ("YUANTUS_JWT_SECRET_KEY", text(&secrets.jwt_secret)),
        ("YUANTUS_SECRET_KEY", text(&secrets.key)),
        ("YUANTUS_NODE_ID", NODE.to_owned()),
    ];
    above.extend(bundle.map(|bundle| ("YUANTUS_BUNDLE", bundle)));
    above.extend(servers.s3_variables());
    let loaded = Config::load_with(file, &below, &above).map_err(refused)?;
    loaded.config.require(Purpose::Api).map_err(refused)?;
    begin(loaded)
}
