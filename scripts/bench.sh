#!/usr/bin/env bash
# Builds for release and measures the product against the least this machine needs.
# Usage: scripts/bench.sh [--json] [--quick] [NAME...]   (scripts/bench.sh --help names them)
# Prints a line for each measure, tab-separated: name, ours, baseline, ratio, goal, holds or short.
# Starts servers of its own and ends by itself, after some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/packages.sh build-essential ca-certificates postgresql >&2
scripts/bundle_of_a_package.sh >&2
cargo build --release --locked --bin yuantus --bin yuantus-bench >&2
# What the build wrote is on the disk before anything is measured.
sync
exec "${CARGO_TARGET_DIR:-target}/release/yuantus-bench" "$@"
