//! Metrics: counted in the process, shown to Prometheus on a listener of their
//! own.
//!
//! Invariant: where nobody asked for metrics nothing is kept, and no metric
//! has a tenant, an org or anything else that grows with the deployment for a
//! label.

mod listener;

use std::{future::Future, pin::Pin, sync::Arc};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub use listener::run_metrics;

/// Measures something at the time it is asked for.
pub type Sample = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Requests take milliseconds.
const REQUESTS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Operations take from milliseconds to hours.
const OPERATIONS: &[f64] =
    &[0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

/// Begins to count, for the whole process.
pub fn install_metrics() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("yuantus_request".to_owned()), REQUESTS)?
        .set_buckets_for_metric(Matcher::Prefix("yuantus_operation".to_owned()), OPERATIONS)?
        .install_recorder()
}
