//! A gateway on a port of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};
use yuantus_auth::{Principal, Role, Tokens};
use yuantus_domain::{Change, OrgKey};
use yuantus_gateway::{
    GatewaySettings, Health, Memory, Services, StorageFacts, health::ProbeError, serve,
};

use crate::{directory::FakeDirectory, fakes::Fake, status::status};

/// Dependencies that can be taken away.
#[derive(Default)]
pub struct FakeHealth {
    pub down: AtomicBool,
    pub hangs: AtomicBool,
}

#[async_trait]
impl Health for FakeHealth {
    async fn identity_database(&self) -> Result<(), ProbeError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if self.down.load(Ordering::Relaxed) {
            return Err("connection refused".into());
        }
        Ok(())
    }

    async fn database(&self, org: Option<&OrgKey>) -> Result<(), ProbeError> {
        match org {
            Some(key) if key.tenant.as_str() == "gone" => Err(format!("no database {key}").into()),
            _ => Ok(()),
        }
    }

    async fn storage(&self) -> Result<(), ProbeError> {
        Ok(())
    }

    fn storage_facts(&self) -> StorageFacts {
        StorageFacts { bucket: "backups".into(), endpoint_url: Some("http://s3:9000".into()) }
    }
}

pub struct TestServer {
    pub fake: Fake,
    pub health: Arc<FakeHealth>,
    pub directory: Arc<FakeDirectory>,
    pub memory: Memory,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<yuantus_gateway::Result<()>>,
    pub tokens: Tokens,
    http: Client,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub async fn start_with(configure: impl FnOnce(&mut GatewaySettings)) -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let secret = yuantus_auth::random_key().unwrap();
        let tokens = Tokens::new(&secret, Duration::from_secs(600)).unwrap();
        let directory = Arc::new(FakeDirectory::default());
        let memory = Memory::new(directory.clone());
        memory.hear(Change::Listening);
        let mut settings = GatewaySettings::new(tokens.clone(), memory.clone(), status);
        configure(&mut settings);
        let (fake, health) = (Fake::default(), Arc::new(FakeHealth::default()));
        let services = Services {
            tenants: fake.clone(),
            orgs: fake.clone(),
            operations: fake.clone(),
            migrations: fake.clone(),
            backups: fake.clone(),
            auth: fake.clone(),
            customers: fake.clone(),
            audit: fake.clone(),
            users: fake.clone(),
            members: fake.clone(),
            sessions: fake.clone(),
            api_keys: fake.clone(),
            files: fake.clone(),
            policies: fake.clone(),
            exports: fake.clone(),
            uploads: Arc::new(fake.clone()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let probes: Arc<dyn Health> = health.clone();
        let serving = tokio::spawn(serve(settings, services, probes, listener, shutdown.clone()));
        Self {
            fake,
            health,
            directory,
            memory,
            address,
            shutdown,
            serving,
            tokens,
            http: Client::new(),
        }
    }

    pub fn token(&self, tenant: &str, role: Role) -> String {
        let (user_id, session) = self.directory.add_user(tenant, role);
        let principal = Principal {
            user_id,
            session: Some(session),
            tenant: tenant.into(),
            username: "ann".into(),
            roles: vec![role],
            ..Principal::anonymous()
        };
        self.tokens.issue(&principal).unwrap().0.expose_secret().to_owned()
    }

    pub fn platform(&self) -> String {
        self.token("platform", Role::PlatformAdmin)
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// A request of a platform administrator.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(self.platform())
    }

    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub async fn create_tenant(&self, id: &str) -> Response {
        let body = serde_json::json!({"id": id});
        self.request(Method::POST, "/api/v1/tenants").json(&body).send().await.unwrap()
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// A gRPC request of a platform administrator.
    pub fn grpc<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let token = MetadataValue::try_from(format!("Bearer {}", self.platform())).unwrap();
        request.metadata_mut().insert("authorization", token);
        request
    }
}

/// Checks what every problem document has, and returns it.
pub async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let document: Value = response.json().await.unwrap();
    assert_eq!(document["request_id"], id);
    assert_eq!(document["status"], status.as_u16());
    assert_eq!(document["type"], "about:blank");
    assert_eq!(document["title"], status.canonical_reason().unwrap());
    document
}
