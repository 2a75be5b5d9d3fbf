#!/usr/bin/env bash
# Puts the SQL migrations of published packages into target/bundles/CRATE, for
# the tests that run a bundle nobody here wrote.
# Usage: scripts/bundle_of_a_package.sh [CRATE@VERSION ...]
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || set -- apalis-postgres@1.0.0 sqlxmq@0.6.0
bundles="${CARGO_TARGET_DIR:-target}/bundles"
sources="${CARGO_HOME:-$HOME/.cargo}/registry/src"

for package in "$@"; do
  name="${package%@*}" version="${package#*@}"
  bundle="$bundles/$name"
  [ -d "$bundle" ] && continue
  # Reading about a package makes cargo fetch it, and verify its checksum.
  cargo info --quiet "$package" >/dev/null
  migrations=("$sources"/*/"$name-$version"/migrations)
  [ -d "${migrations[0]}" ] || { echo "$package has no migrations/" >&2; exit 1; }
  mkdir -p "$bundles"
  draft="$(mktemp -d "$bundles/.$name.XXXXXX")"
  cp "${migrations[0]}"/*.sql "$draft/"
  chmod -R a+rX "$draft"
  mv -T "$draft" "$bundle" 2>/dev/null || rm -rf "$draft"
  echo "$bundle"
done
