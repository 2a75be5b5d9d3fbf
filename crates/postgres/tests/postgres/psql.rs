use secrecy::SecretString;
use yuantus_postgres::{Tools, psql};

use crate::fixture::Fixture;

const URL: &str = "YUANTUS_TEST_URL";

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the process that becomes psql is this test program")]
async fn a_person_gets_a_session_without_the_password_in_the_arguments() {
    let fixture = Fixture::new().await;
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "psql::a_process_that_becomes_psql"])
        .env(URL, fixture.url().as_str())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("database postgres of user postgres"), "{said}");
    assert!(!said.contains(fixture.url().password().unwrap()), "{said}");
}

#[test]
#[ignore = "the other half of another test: it becomes another program"]
#[expect(clippy::disallowed_methods, reason = "how one half of a test tells the other")]
fn a_process_that_becomes_psql() {
    let Ok(url) = std::env::var(URL) else { return };
    let who = "SELECT 'database ' || current_database() || ' of user ' || current_user";
    let arguments_of_psql = "\\! tr '\\0' ' ' < /proc/$PPID/cmdline";
    let arguments = ["-At", "-c", who, "-c", arguments_of_psql].map(str::to_owned);
    panic!("{}", psql::exec(&Tools::find(), &SecretString::from(url), &arguments).unwrap_err());
}
