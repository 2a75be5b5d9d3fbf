//! What `dev` tells once everything runs.

use std::{fmt::Write as _, time::Duration};

use secrecy::ExposeSecret;
use serde::Serialize;
use yuantus_config::Config;

use super::{ADMIN, data_dir::DataDir, secrets::Secrets, servers::Servers};
use crate::{
    failure::Failure,
    output::{self, Format, Output},
};

/// Where things are.
#[derive(Serialize)]
pub(crate) struct Ready {
    api: String,
    openapi: String,
    postgresql: String,
    postgresql_password_file: String,
    s3: String,
    s3_bucket: String,
    s3_keys_file: String,
    data: String,
    login: Option<String>,
    admin: &'static str,
    /// At the first start only.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password: Option<String>,
    seconds: f64,
}

impl Ready {
    /// Gathers it.
    pub(crate) fn new(
        config: &Config,
        data: &DataDir,
        servers: &Servers,
        secrets: &Secrets,
        no_login: bool,
    ) -> Self {
        let api = format!("http://{}", config.server.listen);
        let file = |name: &str| data.root().join(name).display().to_string();
        let mut postgresql = servers.postgres.admin_url();
        // Fails only for URLs without a host.
        postgresql.set_password(None).ok();
        let server = if api == crate::client::DEFAULT_SERVER {
            String::new()
        } else {
            format!(" --server {api}")
        };
        Self {
            openapi: format!("{api}/api/v1/openapi.json"),
            postgresql: postgresql.to_string(),
            postgresql_password_file: file("postgres/superuser.password"),
            s3: format!("http://{}", servers.s3.addr()),
            s3_bucket: config.storage.bucket.clone(),
            s3_keys_file: file("secrets.toml"),
            data: data.root().display().to_string(),
            login: (!no_login).then(|| format!("yuantus login{server} --username {ADMIN}")),
            admin: ADMIN,
            admin_password: secrets
                .admin_password
                .as_ref()
                .map(|password| password.expose_secret().to_owned()),
            seconds: 0.0,
            api,
        }
    }

    /// Shows it on stdout; `took` is how long the start took.
    pub(crate) fn show(mut self, output: Output, took: Duration) -> Result<(), Failure> {
        self.seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        let failed = |error| Failure::local("write JSON", error);
        match output.format() {
            Format::Json => output::text(&(serde_json::to_string(&self).map_err(failed)? + "\n")),
            Format::Yaml => output::text(
                &serde_yaml_ng::to_string(&self)
                    .map_err(|error| Failure::local("write YAML", error))?,
            ),
            Format::Name => output::text(&format!("{}\n", self.api)),
            Format::Table => output::text(&self.to_text()),
        }
    }

    fn to_text(&self) -> String {
        let mut lines = vec![
            ("API", format!("{} (gRPC and REST)", self.api)),
            ("OpenAPI", format!("{}; to read: {}/docs", self.openapi, self.api)),
            ("PostgreSQL", self.postgresql.clone()),
            ("", format!("its password is in {}", self.postgresql_password_file)),
            ("S3", format!("{}, bucket {}", self.s3, self.s3_bucket)),
            ("", format!("its keys are in {}", self.s3_keys_file)),
            ("Data", self.data.clone()),
        ];
        match &self.login {
            Some(login) => lines.push(("Log in", login.clone())),
            None => lines.push(("Log in", "not needed: every caller is let in".to_owned())),
        }
        if let Some(password) = &self.admin_password {
            lines.push(("Password", format!("{password} (of {}; shown this once)", self.admin)));
        }
        let mut text =
            format!("\nyuantus dev is ready after {} s; Ctrl-C stops it\n\n", self.seconds);
        for (label, value) in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<10}  {value}");
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_shows_everything() {
        let ready = Ready {
            api: "http://127.0.0.1:7910".into(),
            openapi: "http://127.0.0.1:7910/api/v1/openapi.json".into(),
            postgresql: "postgresql://postgres@127.0.0.1:5433/postgres".into(),
            postgresql_password_file: "/d/postgres/superuser.password".into(),
            s3: "http://127.0.0.1:9001".into(),
            s3_bucket: "yuantus".into(),
            s3_keys_file: "/d/secrets.toml".into(),
            data: "/d".into(),
            login: Some("yuantus login --username admin".into()),
            admin: ADMIN,
            admin_password: Some("secret".into()),
            seconds: 2.5,
        };
        insta::assert_snapshot!(ready.to_text());
    }
}
