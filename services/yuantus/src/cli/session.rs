//! What a command that talks to a server works with.

use tonic::Status;
use uuid::Uuid;
use yuantus_proto::v1::Operation;

use crate::{
    cli::{Global, renew::current_token},
    client::{Client, DEFAULT_SERVER},
    failure::Failure,
    output::{Format, Output, Show, note},
    profile::{self, Profiles},
    wait::{Waiting, follow},
};

/// A server, and how to show its answers.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) output: Output,
    request_id: Option<String>,
}

impl Session {
    /// Finds server and token: option, environment, profile, default. The
    /// profile's token goes to the profile's server only.
    pub(crate) async fn open(global: &Global) -> Result<Self, Failure> {
        let path = profile::default_path()?;
        let profiles = Profiles::read(&path)?;
        let profile = profiles.get(&global.profile);
        if profile.is_none() && global.profile != profile::DEFAULT {
            let message = format!(
                "there is no profile `{0}`: `yuantus --profile {0} login` makes it",
                global.profile
            );
            return Err(Failure::Usage(message));
        }
        let server = server(global, profile);
        let own = profile.filter(|profile| profile.server == server);
        let token = match (profile::token_of_environment(), own) {
            (Some(given), _) => given,
            (None, Some(own)) => current_token(&path, &global.profile, own, &global.trust).await?,
            (None, None) => String::new(),
        };
        let token = Some(token.as_str()).filter(|token| !token.is_empty());
        Ok(Self {
            client: Client::new(&server, token, &global.trust)?,
            output: Output::new(global.output),
            request_id: global.request_id.clone(),
        })
    }

    /// The idempotency key of a create: the one given, or a new one, so that a
    /// retry below us creates nothing twice.
    pub(crate) fn request_id(&self) -> String {
        self.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string())
    }

    /// The same for one of many requests: each has a key of its own.
    pub(crate) fn request_id_for(&self, one: &str) -> String {
        match &self.request_id {
            Some(id) => format!("{id}:{one}"),
            None => self.request_id(),
        }
    }

    /// Says which server refused.
    pub(crate) fn answer<T>(
        &self,
        result: Result<tonic::Response<T>, Status>,
    ) -> Result<T, Failure> {
        result.map(tonic::Response::into_inner).map_err(|status| self.client.refused(status))
    }

    /// Shows an operation that was started; or, with `--wait`, follows it and
    /// shows what it made, which `made` reads.
    pub(crate) async fn finish<T: Show>(
        &self,
        operation: Operation,
        waiting: Waiting,
        made: impl AsyncFnOnce(&Operation) -> Result<T, Failure>,
    ) -> Result<(), Failure> {
        if waiting.wait {
            let operation = follow(&self.client, operation, waiting.timeout).await?;
            return self.output.one(&made(&operation).await?);
        }
        self.output.one(&operation)?;
        if self.output.format() == Format::Table {
            note(&format!("started; `yuantus op watch {}` follows it", operation.id));
        }
        Ok(())
    }
}

/// The server's URL.
pub(crate) fn server(global: &Global, profile: Option<&profile::Profile>) -> String {
    let given = global.server.as_deref().filter(|server| !server.is_empty());
    let server = given.or(profile.map(|profile| profile.server.as_str())).unwrap_or(DEFAULT_SERVER);
    server.trim_end_matches('/').to_owned()
}
