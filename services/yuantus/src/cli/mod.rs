//! The command line: one file per noun.

mod api_key;
mod arguments;
mod audit;
mod backup;
mod bundle;
mod completions;
pub(crate) mod db;
mod doctor;
mod login;
mod logout;
mod man;
mod member;
mod migrate;
mod op;
mod org;
mod renew;
mod seed_identity;
mod seed_meta;
mod session;
mod sessions;
mod tenant;
mod time;
mod tombstone;
mod user;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::{
    failure::Failure,
    output::{Format, Output},
    run,
};

use crate::client::Trust;
pub(crate) use session::Session;

/// One PostgreSQL database per tenant and org: made, migrated, backed up and
/// restored.
#[derive(Debug, Parser)]
#[command(name = "yuantus", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that go with every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// How answers are shown
    #[arg(short, long, value_enum, default_value_t, global = true)]
    output: Format,
    /// URL of the server; the profile's if not given
    #[arg(long, value_name = "URL", env = "YUANTUS_SERVER", global = true)]
    server: Option<String>,
    #[command(flatten)]
    trust: Trust,
    /// Profile that holds server and token
    #[arg(
        long,
        value_name = "NAME",
        env = "YUANTUS_PROFILE",
        default_value = "default",
        global = true
    )]
    profile: String,
    /// Idempotency key of a create: the same key again answers the same
    #[arg(long, value_name = "KEY", global = true)]
    request_id: Option<String>,
    /// Configuration file, for start, worker, dev, db and tombstone
    #[arg(long, value_name = "FILE", env = "YUANTUS_CONFIG", global = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine, with its own PostgreSQL and S3
    Dev(run::dev::Options),
    /// Serve the API
    Start(run::start::Options),
    /// Run operations
    Worker(run::worker::Options),
    /// The identity database's schema
    #[command(subcommand)]
    Db(db::Command),
    /// Compare the identity database with the server and the bucket, at the
    /// server's console
    Doctor(doctor::Options),
    /// Make a tenant, an org and a user where they are missing, at the server's
    /// console
    SeedIdentity(seed_identity::Options),
    /// See that an org's database is there and current, at the server's console
    SeedMeta(seed_meta::Options),
    /// Get a token and keep it in the profile
    Login(login::Options),
    /// End the session of the profile's token, and forget it
    Logout(logout::Options),
    /// Tenants
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Orgs, each with a database of its own
    #[command(subcommand)]
    Org(org::Command),
    /// Users, who log in
    #[command(subcommand)]
    User(user::Command),
    /// Sessions, which logins open
    #[command(subcommand)]
    Session(sessions::Command),
    /// API keys, which machines come with
    #[command(subcommand, name = "apikey", visible_alias = "api-key")]
    ApiKey(api_key::Command),
    /// Users as members of orgs
    #[command(subcommand)]
    Member(member::Command),
    /// The schema of the orgs' databases
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Bundles of migrations
    #[command(subcommand)]
    Bundle(bundle::Command),
    /// Backups of orgs' databases
    #[command(subcommand)]
    Backup(backup::Command),
    /// Databases that restores replaced, at the server's console
    #[command(subcommand)]
    Tombstone(tombstone::Command),
    /// Operations: work that outlasts a request
    #[command(subcommand, visible_alias = "operation")]
    Op(op::Command),
    /// The audit trail
    #[command(subcommand)]
    Audit(audit::Command),
    /// Write completions for a shell
    Completions(completions::Options),
    /// Write manual pages
    Man(man::Options),
}

impl Cli {
    /// Does what was asked.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let output = Output::new(self.global.output);
        let config = self.global.config.as_deref();
        match self.command {
            Command::Dev(options) => run::dev::run(options, config, output).await,
            Command::Start(options) => run::start::run(options, config).await,
            Command::Worker(options) => run::worker::run(options, config).await,
            Command::Db(command) => command.run(config, output).await,
            Command::Doctor(options) => options.run(config, output).await,
            Command::SeedIdentity(options) => options.run(config).await,
            Command::SeedMeta(options) => options.run(config).await,
            Command::Login(options) => options.run(&self.global).await,
            Command::Logout(options) => options.run(&self.global).await,
            Command::Tenant(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Org(command) => command.run(&Session::open(&self.global).await?).await,
            Command::User(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Session(command) => command.run(&Session::open(&self.global).await?).await,
            Command::ApiKey(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Member(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Migrate(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Bundle(command) => command.run(output),
            Command::Backup(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Tombstone(command) => command.run(config, output).await,
            Command::Op(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Audit(command) => command.run(&Session::open(&self.global).await?).await,
            Command::Completions(options) => options.run(Self::command()),
            Command::Man(options) => options.run(Self::command()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_runbooks_commands_parse() {
        for line in [
            "db upgrade",
            "db current",
            "db rotate-key --accept-jwt-secret",
            "db recover-audit --tenant t-1",
            "db break-glass --reason locked-out --minutes 30",
            "seed-identity --tenant t --org o --username admin --password admin --user-id 1 \
             --roles admin,owner --superuser",
            "seed-meta --tenant t --org o",
            "start --host 0.0.0.0 --port 7910",
            "worker --once --poll-interval 0.5",
            "org create tenant-1/org-1 --wait",
            "org connect tenant-1/org-1 -- -c \\dt",
            "backup restore tenant-1/org-1 latest --to tenant-2/org-1 --replace --wait",
            "logout --profile other",
            "session list",
            "apikey create tenant-1 ci --role tenant_admin --days 90 -o name",
            "apikey list tenant-1",
            "apikey revoke tenant-1 0197aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee",
            "session list tenant-1 7 --limit 5",
            "session revoke-user tenant-1 7",
            "user create tenant-1 ann --admin --password-stdin",
            "user update tenant-1 7 --active false",
            "member add tenant-1/org-1 ann --roles owner,support_agent",
            "migrate apply --all --wait --timeout 60 -o json",
            "tombstone list -o json",
            "tombstone drop yuantus_mt_old__0197aaaabbbb7ccc8dddeeeeeeeeeeee",
            "op list tenant-1/org-1 --state running --limit 5",
            "audit list acme --action login --since 2026-01-01 --limit 20",
            "audit verify --tenant acme",
            "audit prune",
            "--server http://h:1 tenant list -o name",
            "tenant list --server https://h:1 --ca-file ca.pem",
        ] {
            let words = std::iter::once("yuantus").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn ids_that_cannot_be_are_refused_before_a_server_is_asked() {
        for id in ["a__b/o", "Tenant/o", "t", "t/o/x", "../x", "t/"] {
            let error = Cli::try_parse_from(["yuantus", "org", "get", id]).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{id}");
        }
    }
}
