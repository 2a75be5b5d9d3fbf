#!/usr/bin/env bash
# Puts a Python with gRPC into target/python, for the test of a client that is
# built from reflection alone.
set -euo pipefail
cd "$(dirname "$0")/.."

python="${CARGO_TARGET_DIR:-target}/python"
[ -e "$python/ready" ] && exit 0
rm -rf "$python"
python3 -m venv "$python"
"$python/bin/pip" install --quiet --disable-pip-version-check \
  grpcio==1.85.1 grpcio-reflection==1.85.1 protobuf==7.36.2
touch "$python/ready"
