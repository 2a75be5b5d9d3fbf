//! Where the orgs' databases are, without who administers them.

use std::{fmt, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use url::Url;
use yuantus_domain::OrgKey;

/// What of an administrator's URL says where the server is and how it is
/// trusted, and not who the administrator is.
const ADDRESS: [&str; 5] = ["host", "hostaddr", "port", "sslmode", "sslrootcert"];

/// How many prepared statements a connection keeps: about as many as there are
/// here.
const STATEMENTS: usize = 16;

/// Who logs in where.
#[derive(Clone, Debug)]
pub struct Login {
    /// Whose database it is.
    pub key: OrgKey,
    /// Its name.
    pub database: String,
    /// The org's role.
    pub role: String,
    /// The role's password.
    pub password: SecretString,
    /// Which of its passwords.
    pub password_version: i32,
}

/// The server of the orgs' databases.
#[derive(Clone)]
pub struct TenantServer {
    options: PgConnectOptions,
}

impl TenantServer {
    /// Takes the address out of the administrator's URL, and nothing else of
    /// it.
    pub fn new(admin_url: &Url, statement_timeout: Duration) -> Result<Self, sqlx::Error> {
        let mut url = admin_url.clone();
        // A URL that has a host takes both.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let pairs: Vec<_> = admin_url.query_pairs().into_owned().collect();
        url.set_query(None);
        for (name, value) in pairs.iter().filter(|(name, _)| ADDRESS.contains(&&**name)) {
            url.query_pairs_mut().append_pair(name, value);
        }
        url.set_path("");
        let milliseconds = statement_timeout.as_millis();
        let options = PgConnectOptions::from_str(url.as_str())?
            .application_name("yuantus:data")
            .statement_cache_capacity(STATEMENTS)
            .options([
                ("statement_timeout", format!("{milliseconds}ms")),
                ("lock_timeout", format!("{}ms", milliseconds / 2)),
                ("idle_in_transaction_session_timeout", format!("{}ms", milliseconds * 2)),
                ("client_connection_check_interval", "5s".to_owned()),
            ])
            .disable_statement_logging();
        Ok(Self { options })
    }

    /// The options of a connection as an org's own role.
    pub(crate) fn options(&self, login: &Login) -> PgConnectOptions {
        let options = self.options.clone().database(&login.database).username(&login.role);
        options.password(login.password.expose_secret())
    }
}

impl fmt::Debug for TenantServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantServer({}:{})", self.options.get_host(), self.options.get_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_administrator_is_left() {
        let url = "postgresql://root:s3cret@db.example:6543/postgres?sslmode=require\
            &user=root&password=s3cret&options=-c%20role%3Droot&sslcert=/root.crt&sslkey=/root.key";
        let server = TenantServer::new(&Url::parse(url).unwrap(), Duration::from_secs(7)).unwrap();
        let login = Login {
            key: OrgKey::parse("acme", "hq").unwrap(),
            database: "of_acme".into(),
            role: "acme_role".into(),
            password: "its-own".into(),
            password_version: 1,
        };
        let options = server.options(&login);
        assert_eq!(options.get_username(), "acme_role");
        assert_eq!(options.get_database(), Some("of_acme"));
        assert_eq!((options.get_host(), options.get_port()), ("db.example", 6543));
        let shown = format!("{options:?}");
        for gone in ["s3cret", "role=root", "/root.", "\"root\""] {
            assert!(!shown.contains(gone), "{gone} in {shown}");
        }
        assert!(shown.contains("statement_timeout=7000ms"), "{shown}");
        assert_eq!(format!("{server:?}"), "TenantServer(db.example:6543)");
    }
}
