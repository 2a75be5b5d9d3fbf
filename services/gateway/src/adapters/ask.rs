//! A request to an adapter, and the RPCs that it can call for it.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, header, request::Parts};
use rest_over_grpc::transcoding::TranscodeResponse;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use yuantus_auth::{Caller, caller::CALLER};
use yuantus_domain::{Error, OrgKey, TenantId};

use crate::{
    admission, front::Front, hosts, kinds, nulls, problem::Problem, request::RequestFacts,
    rest_error, services::RestCall,
};

use super::Adapter;

/// A request to an adapter.
pub struct Ask<'a> {
    /// Where the RPCs are.
    pub front: &'a Front,
    /// The request's facts.
    pub facts: &'a RequestFacts,
    /// What was asked.
    pub asked: Asked<'a>,
}

/// What was asked, by whom.
pub struct Asked<'a> {
    /// The adapter.
    pub adapter: &'static Adapter,
    /// Method, path and headers.
    pub parts: &'a Parts,
    /// What the path captured.
    pub captured: &'a [(&'static str, String)],
    /// The body.
    pub body: Bytes,
    /// Who was admitted to the adapter's RPC.
    pub caller: &'a Arc<Caller>,
}

impl Ask<'_> {
    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.asked.parts.method
    }

    /// A segment of the path, as it was written.
    pub fn segment(&self, name: &str) -> &str {
        let mut captured = self.asked.captured.iter();
        captured.find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// The query, as it was written.
    pub fn query(&self) -> &str {
        self.asked.parts.uri.query().unwrap_or_default()
    }

    /// The body's fields.
    pub fn fields<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let body = nulls::without(self.asked.body.clone());
        serde_json::from_slice(&body).map_err(|error| self.unread(&body, &error))
    }

    /// The body where it is an object of the client's own.
    pub fn object(&self) -> Result<Map<String, Value>, Problem> {
        let body = &self.asked.body;
        serde_json::from_slice(body).map_err(|error| self.unread(body, &error))
    }

    /// Why a body could not be read.
    fn unread(&self, body: &[u8], error: &serde_json::Error) -> Problem {
        let schema = self.asked.adapter.body.map(|schema| schema()).unwrap_or_default();
        let wrong = kinds::check_body(&schema, body).err();
        wrong.map_or_else(|| rest_error::body(error), |wrong| self.problem(wrong))
    }

    /// The tenant in context.
    pub fn tenant(&self) -> Result<&TenantId, Problem> {
        let tenant = self.asked.caller.tenant.as_ref();
        tenant.ok_or_else(|| self.problem(Error::MissingContext { field: "tenant_id" }))
    }

    /// The org in context.
    pub fn org(&self) -> Result<OrgKey, Problem> {
        let tenant = self.tenant()?.clone();
        let org = self.asked.caller.org.clone();
        let org = org.ok_or_else(|| self.problem(Error::MissingContext { field: "org_id" }))?;
        Ok(OrgKey { tenant, org })
    }

    /// What a client hears of an error.
    pub fn problem(&self, error: Error) -> Problem {
        Problem::of_status(&(self.front.to_status)(error))
    }

    /// Calls an RPC by a route of it, as the caller of this request; answers
    /// its answer.
    pub async fn call(
        &self,
        rpc: &'static str,
        verb: &Method,
        target: String,
        body: Option<&Value>,
    ) -> Result<Value, Problem> {
        let caller = self.admitted(rpc).await?;
        let mut headers = self.asked.parts.headers.clone();
        crate::headers::remove_credential(&mut headers);
        for name in [header::CONTENT_LENGTH, header::ACCEPT] {
            headers.remove(name);
        }
        let call = (self.front.rest)(RestCall {
            verb: verb.as_str().to_owned(),
            target,
            headers,
            body: body.map(|body| Bytes::from(body.to_string())).unwrap_or_default(),
        });
        match CALLER.scope(caller, call).await {
            Some(TranscodeResponse::Unary(answer)) if answer.status().is_success() => {
                serde_json::from_slice(answer.body()).map_err(|_| Problem::panicked())
            }
            Some(TranscodeResponse::Unary(answer)) => {
                Err(rest_error::problem(answer.body(), || None))
            }
            Some(TranscodeResponse::Streaming(_)) | None => Err(Problem::panicked()),
        }
    }

    /// The caller as one of this RPC.
    async fn admitted(&self, rpc: &'static str) -> Result<Arc<Caller>, Problem> {
        if rpc == self.asked.adapter.route.rpc {
            return Ok(Arc::clone(self.asked.caller));
        }
        let headers = &self.asked.parts.headers;
        let host = hosts::of(&self.asked.parts.uri, headers);
        let asked = admission::Asked { rpc, headers, host, only_org: false };
        let admitted = self.front.admission.admit(asked, self.facts).await;
        admitted.map_err(|error| self.problem(error))
    }
}
