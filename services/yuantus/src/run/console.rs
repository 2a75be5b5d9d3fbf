//! Use cases at the server's console: without a server of ours, as nobody's
//! session.

use std::sync::Arc;

use yuantus_auth::{Caller, Principal, caller::CALLER};
use yuantus_config::Config;
use yuantus_control_plane::app::App;

use super::{api::Api, common::Common};
use crate::failure::Failure;

/// Does `work` as who is at the console.
pub(crate) async fn at_console<T>(
    config: &Config,
    work: impl AsyncFnOnce(&App) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let api = Api::new(config, &Common::new(config)?)?;
    let done = match api.prove_keys_now().await {
        Ok(()) => CALLER.scope(Arc::new(console()), work(&api.app)).await,
        Err(failure) => Err(failure),
    };
    api.close().await;
    done
}

fn console() -> Caller {
    Caller {
        principal: Some(Principal::console()),
        tenant: None,
        org: None,
        tenant_facts: None,
        org_facts: None,
        org_roles: Arc::default(),
        impersonating: false,
        rpc: String::new(),
        request_id: String::new(),
        client_ip: Arc::default(),
        user_agent: "console".to_owned(),
        idempotency_key: None,
    }
}
