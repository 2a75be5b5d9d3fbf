//! Metrics, as Prometheus reads them.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use yuantus_test_support::{Child, TestEnv};

/// What a scrape tells: series by name and labels.
#[derive(Debug)]
struct Scrape {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    /// Reads Prometheus' text format; what breaks its rules fails the test.
    fn parse(text: &str) -> Self {
        let (mut kinds, mut series) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("name and type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{line}: twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').expect("a value");
                let base = name.split('{').next().expect("a name");
                let word = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(base.starts_with("yuantus_") && base.chars().all(word), "{line}");
                let value: f64 = value.parse().expect("a number");
                assert!(series.insert(name.to_owned(), value).is_none(), "{line}: twice");
            }
        }
        let scrape = Self { kinds, series };
        scrape.check();
        scrape
    }

    fn check(&self) {
        for name in self.series.keys() {
            assert!(!name.contains("acme") && !name.contains("tenant"), "{name} names a tenant");
            let base = name.split('{').next().expect("a name");
            let kind = self.kinds.iter().find(|(known, kind)| {
                let suffixes: &[&str] =
                    if *kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
                suffixes.iter().any(|suffix| format!("{known}{suffix}") == base)
            });
            let (_, kind) = kind.unwrap_or_else(|| panic!("{name} has no type"));
            assert_eq!(kind == "counter", base.ends_with("_total"), "{name}");
        }
    }

    fn value(&self, name: &str) -> f64 {
        *self.series.get(name).unwrap_or_else(|| panic!("no {name} in {self:#?}"))
    }
}

/// Where a process says that it shows metrics.
async fn address(child: &mut Child) -> String {
    loop {
        let log = child.log();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let shown = events.filter_map(|event| Some(event["metrics"].as_str()?.to_owned())).next();
        if let Some(address) = shown {
            return address;
        }
        assert!(!child.has_ended(), "{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn scrape(address: &str) -> Scrape {
    let answer = reqwest::get(format!("http://{address}/metrics")).await.expect("metrics");
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    Scrape::parse(&answer.text().await.expect("text"))
}

#[tokio::test]
async fn requests_and_operations_are_counted() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_METRICS_LISTEN", "127.0.0.1:0")]).await;
    let shown = address(&mut api.child).await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let waiting = scrape(&shown).await;
    let pending = "yuantus_operations_pending{type=\"CreateDatabase\"}";
    assert_eq!(waiting.value(pending), 1.0);

    let metrics = [("YUANTUS_METRICS_WORKER_LISTEN", "127.0.0.1:0")];
    let mut worker = env.worker("w", &metrics);
    api.succeed(&create).await;
    let missing = format!("{}/api/v1/tenants/nobody", api.url);
    assert_eq!(reqwest::get(&missing).await.expect("answer").status(), 404);
    assert_eq!(reqwest::get(format!("{}/acme", api.url)).await.expect("answer").status(), 404);

    let requests = scrape(&shown).await;
    let of = |rpc: &str, protocol: &str, status: &str| {
        let labels = format!("rpc=\"{rpc}\",protocol=\"{protocol}\",status=\"{status}\"");
        requests.value(&format!("yuantus_requests_total{{{labels}}}"))
    };
    assert_eq!(of("TenantService/CreateTenant", "grpc", "OK"), 1.0);
    assert_eq!(of("TenantService/GetTenant", "rest", "404"), 1.0);
    assert_eq!(of("none", "rest", "404"), 1.0);
    assert!(of("/readyz", "rest", "200") >= 1.0);
    let labels = "rpc=\"TenantService/CreateTenant\",protocol=\"grpc\"";
    let count = format!("yuantus_request_duration_seconds_count{{{labels}}}");
    assert_eq!(requests.value(&count), 1.0);
    let all = format!("yuantus_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}}");
    assert_eq!(requests.value(&all), 1.0);
    assert!(requests.value("yuantus_connections") >= 1.0);
    assert_eq!(requests.value(pending), 0.0);
    let busy = requests.value("yuantus_identity_connections{state=\"busy\"}");
    let idle = requests.value("yuantus_identity_connections{state=\"idle\"}");
    assert!(busy + idle >= 1.0);

    let shown = address(&mut worker).await;
    let worked = scrape(&shown).await;
    assert_eq!(worked.value("yuantus_operations_claimed_total{type=\"CreateDatabase\"}"), 1.0);
    let ended = "type=\"CreateDatabase\",state=\"SUCCEEDED\"";
    assert_eq!(worked.value(&format!("yuantus_operations_ended_total{{{ended}}}")), 1.0);
    let took = format!("yuantus_operation_duration_seconds_sum{{{ended}}}");
    assert!(worked.value(&took) > 0.0);

    let elsewhere = reqwest::get(format!("http://{shown}/")).await.expect("answer");
    assert_eq!(elsewhere.status(), 404);
}
