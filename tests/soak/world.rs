//! The servers and processes, and who may disturb them when.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, RwLock};
use yuantus_test_support::{Child, Options, TestEnv};

use crate::{Result, client::Rest};

/// Leases that a freeze outlasts, and spares for some orgs.
const VARIABLES: [(&str, &str); 3] = [
    ("YUANTUS_WORKER__LEASE_SECONDS", "3"),
    ("YUANTUS_TENANTS__SPARE_TARGET", "2"),
    ("YUANTUS_LOG_LEVEL", "info"),
];

/// The processes of the product.
pub struct Processes {
    pub api: Child,
    pub workers: Vec<Child>,
}

pub struct World {
    pub env: RwLock<TestEnv>,
    pub rest: Rest,
    pub processes: AsyncMutex<Processes>,
    /// Held for reading by whoever does something, for writing by who needs
    /// everything to be still.
    pub still: RwLock<()>,
    port: String,
    counts: Mutex<BTreeMap<&'static str, u64>>,
}

impl World {
    pub async fn start() -> Result<Self> {
        let env = TestEnv::start_with(Options { durable: true, ..Options::default() }).await;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let rest = Rest::new(format!("http://127.0.0.1:{port}"))?;
        let api = api(&env, &port);
        let workers = (0..2).map(|number| worker(&env, number)).collect();
        Ok(Self {
            env: RwLock::new(env),
            rest,
            processes: AsyncMutex::new(Processes { api, workers }),
            still: RwLock::new(()),
            port,
            counts: Mutex::default(),
        })
    }

    /// Starts what does not run.
    pub async fn revive(&self) {
        let env = self.env.read().await;
        let mut processes = self.processes.lock().await;
        if processes.api.has_ended() {
            processes.api = api(&env, &self.port);
        }
        for number in 0..processes.workers.len() {
            if processes.workers[number].has_ended() {
                processes.workers[number] = worker(&env, number);
            }
        }
    }

    /// Ends all processes of the product.
    pub async fn stop(&self) {
        let mut processes = self.processes.lock().await;
        processes.api.kill();
        processes.workers.iter_mut().for_each(Child::kill);
    }

    pub fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn api(env: &TestEnv, port: &str) -> Child {
    env.spawn("api", &["start", "--host", "127.0.0.1", "--port", port], &VARIABLES)
}

fn worker(env: &TestEnv, number: usize) -> Child {
    env.worker(["w0", "w1"][number % 2], &VARIABLES)
}
