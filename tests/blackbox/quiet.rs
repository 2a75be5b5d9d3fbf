//! What the processes may log.

use serde_json::Value;
use yuantus_test_support::Child;

/// What a machine that is busy with other tests makes anybody say.
const BUSY: &[&str] = &[
    "time to acquire exceeded slow threshold",
    "execution time exceeded alert threshold",
    "heartbeat failed",
];
/// What an error says then.
const LATE: &str = "no answer within";

/// Asserts that a process logged JSON lines alone, and no warning or error
/// but those whose message holds one of `expected`.
pub fn assert_quiet(child: &Child, expected: &[&str]) {
    for line in child.log().lines() {
        let event: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("not a line of the log ({error}): {line}"));
        let level = event["level"].as_str().unwrap_or_default();
        let listed = || {
            let message = event["message"].as_str().unwrap_or_default();
            let error = event["error"].as_str().unwrap_or_default();
            expected.iter().chain(BUSY).any(|expected| message.contains(expected))
                || error.contains(LATE)
        };
        assert!(["DEBUG", "INFO"].contains(&level) || listed(), "{line}");
    }
}
