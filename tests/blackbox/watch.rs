//! Following an operation over gRPC and REST, from its first state to its last.

use reqwest::{Response, header};
use serde_json::Value;
use tonic::Code;
use yuantus_proto::v1;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    problem::{problem, refusal},
    quiet::assert_quiet,
    tidy::assert_tidy,
    world::{bundle_with_slow, database, fill},
};

/// Opens a watch over REST.
async fn watch_rest(api: &Api, id: &str, accept: &str) -> Response {
    let request = reqwest::Client::new().get(format!("{}/api/v1/operations/{id}:watch", api.url));
    let answer = request.header(header::ACCEPT, accept).send().await.expect("watch");
    assert!(answer.status().is_success(), "{answer:?}");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], accept);
    answer
}

/// What a stream sent: state, the step's number, and done, for each message.
type Seen = Vec<(String, usize)>;

fn seen(operation: &Value) -> (String, usize) {
    let steps = operation["steps"].as_array().expect("steps");
    let done = steps.iter().filter(|step| step["state"] == "DONE").count();
    (operation["state"].as_str().expect("state").to_owned(), done)
}

async fn watch_lines(api: &Api, id: &str) -> Seen {
    let text = watch_rest(api, id, "application/x-ndjson").await.text().await.expect("lines");
    text.lines().map(|line| seen(&serde_json::from_str(line).expect("JSON"))).collect()
}

async fn watch_events(api: &Api, id: &str) -> Seen {
    let text = watch_rest(api, id, "text/event-stream").await.text().await.expect("events");
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| seen(&serde_json::from_str(data).expect("JSON"))).collect()
}

async fn watch_grpc(api: &Api, id: &str) -> Seen {
    let request = v1::WatchOperationRequest { operation_id: id.into() };
    let mut stream = api.operations().watch_operation(request).await.expect("watch").into_inner();
    let mut all = Vec::new();
    while let Some(operation) = stream.message().await.expect("a change") {
        all.push(seen(&serde_json::to_value(operation).expect("JSON")));
    }
    all
}

/// Asserts that a stream began at the beginning, went forward alone, and
/// ended at the end.
fn assert_in_order(stream: &Seen, steps: usize) {
    assert_eq!(stream.first(), Some(&("PENDING".to_owned(), 0)), "{stream:?}");
    assert_eq!(stream.last(), Some(&("SUCCEEDED".to_owned(), steps)), "{stream:?}");
    assert!(stream.iter().any(|(state, _)| state == "RUNNING"), "{stream:?}");
    let rank = |state: &str| ["PENDING", "RUNNING", "SUCCEEDED"].iter().position(|s| *s == state);
    for pair in stream.windows(2) {
        let ((before, done_before), (after, done_after)) = (&pair[0], &pair[1]);
        assert!(rank(before) <= rank(after) && done_before <= done_after, "{stream:?}");
    }
    let ends = stream.iter().filter(|(state, _)| state == "SUCCEEDED").count();
    assert_eq!(ends, 1, "{stream:?}");
}

#[tokio::test]
async fn watchers_see_the_states_in_order_to_the_end() {
    let env = TestEnv::start().await;
    // Slowly enough to be seen.
    let bundle = bundle_with_slow(&env, &["slow"]);
    let variables = [("YUANTUS_BUNDLE", &*bundle)];
    let mut api = env.api_with(&variables).await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let worker = async {
        // Everybody watches before anything happens.
        let first = watch_first(&api, &create.id).await;
        assert_eq!(first, ("PENDING".to_owned(), 0));
        env.worker("w", &variables)
    };
    let id = &create.id;
    let watched =
        tokio::join!(watch_grpc(&api, id), watch_lines(&api, id), watch_events(&api, id), worker);
    let mut worker = watched.3;
    for stream in [watched.0, watched.1, watched.2] {
        assert_in_order(&stream, create.steps.len());
    }
    fill(&env, &database("acme", "hq"), 50_000).await;
    let backup = api.create_backup("acme", "hq").await;
    let stream = watch_grpc(&api, &backup.id).await;
    assert_eq!(stream.last().expect("end").0, "SUCCEEDED");

    // Of what has ended there is one message.
    let end = vec![("SUCCEEDED".to_owned(), create.steps.len())];
    assert_eq!(watch_grpc(&api, id).await, end);
    assert_eq!(watch_lines(&api, id).await, end);
    assert_eq!(watch_events(&api, id).await, end);
    let unknown = "0197aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee";
    let request = v1::WatchOperationRequest { operation_id: unknown.into() };
    let status = api.operations().watch_operation(request).await.expect_err("unknown");
    assert_eq!(refusal(&status, Code::NotFound), "NOT_FOUND");
    let answer = reqwest::get(format!("{}/api/v1/operations/{unknown}:watch", api.url)).await;
    problem(answer.expect("answer"), 404).await;

    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}

/// The first message of a stream that goes on.
async fn watch_first(api: &Api, id: &str) -> (String, usize) {
    let mut answer = watch_rest(api, id, "application/x-ndjson").await;
    let line = answer.chunk().await.expect("a line").expect("a line");
    seen(&serde_json::from_slice(&line).expect("JSON"))
}
