//! A client in another language, which knows nothing of us but what the
//! server's reflection tells.

use yuantus_test_support::{binary, run};

use crate::{authentication::locked, people::Person, quiet::assert_quiet};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/reflection.py");

#[tokio::test]
async fn a_python_client_built_from_reflection_makes_a_tenant() {
    let env = locked().await;
    let api = env.api().await;
    let worker = env.worker("w", &[]);
    let root = Person::root(&api).await;
    let address = api.url.strip_prefix("http://").expect("address");
    let token = format!("{}\n", root.token);
    let target = binary().ancestors().nth(2).expect("target directory").to_owned();
    let python = target.join("python/bin/python");
    assert!(python.exists(), "`scripts/python_client.sh` makes {}", python.display());
    let ran = run(python, &[CLIENT, address, "acme"], [], token.as_bytes()).await.succeeded();
    assert_eq!(ran.text(), "By reflection yuantus_mt_pg__acme__hq\nINVALID_ARGUMENT\n");
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &[]);
}
