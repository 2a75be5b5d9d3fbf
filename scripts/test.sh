#!/usr/bin/env bash
# Sets up what the tests need, then runs all checks: format, lints, tests.
# Usage: scripts/test.sh [ARGUMENTS OF cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step 'packages'
scripts/packages.sh build-essential ca-certificates chromium curl faketime jq nginx-light postgresql \
  python3-venv restic

step 'format'
cargo fmt --all --check
step 'lints'
cargo clippy --workspace --all-targets --locked -- -D warnings
step 'build'
cargo build --workspace --locked
step 'bundles of published packages'
scripts/bundle_of_a_package.sh
step 'other versions of PostgreSQL'
scripts/postgres_versions.sh
step 'a Python client'
scripts/python_client.sh
step 'tests'
cargo test --workspace --locked "$@"
step 'done'
