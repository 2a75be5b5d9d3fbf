//! What the gateway's requests become in the audit trail.

use yuantus_audit::Trail;
use yuantus_auth::Principal;
use yuantus_domain::id::PLATFORM;
use yuantus_gateway::{Answered, Observer};
use yuantus_identity::query::audit_log::{Entry, Request};
use yuantus_proto::access::{Permission, access_of};

/// Records refusals always, and requests where it is to.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// Takes the entries.
    pub(crate) trail: Trail,
    /// Whether every request is recorded.
    pub(crate) requests: bool,
}

impl Observer for Recorder {
    fn answered(&self, answered: Answered<'_>) {
        self.refused(answered);
        if self.requests {
            self.trail.note(Entry { action: "request", ..entry(&answered) });
        }
    }

    fn refused(&self, answered: Answered<'_>) {
        if is_refusal(&answered) {
            let subject = subject(&answered);
            self.trail.coalesced(Entry { action: "denied", ..entry(&answered) }, subject);
        }
    }
}

/// Whether somebody was kept from something. Methods that are open to anybody,
/// such as login, record themselves whom they refuse.
fn is_refusal(answered: &Answered<'_>) -> bool {
    let open = || {
        let access = answered.caller.and_then(|caller| access_of(&caller.rpc));
        access.is_some_and(|access| access.permission == Permission::Public)
    };
    matches!(answered.status, 401 | 403) && !open()
}

/// The RPC, or the path where none was reached.
fn subject(answered: &Answered<'_>) -> String {
    match answered.caller {
        Some(caller) => caller.rpc.trim_start_matches('/').to_owned(),
        None => format!("{} {}", cut(answered.method, 20), cut(answered.path, 200)),
    }
}

fn entry(answered: &Answered<'_>) -> Entry {
    let caller = answered.caller;
    let principal = caller.and_then(|caller| caller.principal.as_ref()).or(answered.refused);
    // A tenant that nobody's token names is a claim of somebody unknown.
    let context = caller.filter(|caller| caller.principal.is_some());
    let tenant = context.and_then(|caller| caller.tenant.as_ref()).map(ToString::to_string);
    let org = context.and_then(|caller| caller.org.as_ref()).map(ToString::to_string);
    let own = || principal.map_or_else(|| PLATFORM.to_owned(), |p| p.tenant.clone());
    Entry {
        tenant: tenant.unwrap_or_else(own),
        org: org.unwrap_or_default(),
        actor: principal.map_or_else(|| "nobody".to_owned(), Principal::display_name),
        user_id: principal.map(|principal| principal.user_id).filter(|id| *id > 0),
        target: subject(answered),
        request_id: answered.request_id.to_owned(),
        client_ip: answered.client_ip.to_owned(),
        user_agent: cut(answered.user_agent, 500).to_owned(),
        request: Some(Request {
            method: cut(answered.method, 20).to_owned(),
            path: cut(answered.path, 1000).to_owned(),
            status_code: answered.status,
            duration: answered.duration,
            error: cut(answered.error, 1000).to_owned(),
        }),
        ..Entry::default()
    }
}

/// At most the first `bytes` of a text.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
