#!/usr/bin/env bash
# Loads the product while its processes and PostgreSQL are killed, workers are frozen past their
# lease, S3 fails and the identity database goes back to a dump; then compares everything that was
# acknowledged with what is there. Ends by itself, with an error where anything was lost.
# Usage: scripts/soak.sh [--minutes N] [--tenants N] [--seed N]
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh build-essential ca-certificates postgresql >&2
cargo build --locked --bin yuantus --bin yuantus-soak >&2
exec "${CARGO_TARGET_DIR:-target}/debug/yuantus-soak" "$@"
