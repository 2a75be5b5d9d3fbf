#!/usr/bin/env bash
# Validates the OpenAPI document that `yuantus dev` serves, then fuzzes all of
# the API by it: as nobody, and as the platform's administrator. Fails on an
# answer of 5xx, an answer that is not as described, a request that is taken or
# refused against the description, or one that hangs.
# Usage: scripts/fuzz_openapi.sh [ARGUMENTS OF schemathesis run]
set -euo pipefail
cd "$(dirname "$0")/.."

target="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
binary="$target/debug/yuantus"
[ -x "$binary" ] || cargo build --locked --bin yuantus

scripts/packages.sh curl postgresql python3-venv
venv="$target/fuzz/venv"
if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -q 4.32.5; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet schemathesis==4.32.5 openapi-spec-validator==0.9.0
fi

directory="$(mktemp -d)"
chmod 755 "$directory"
server=
clean_up() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  rm -rf "$directory"
}
trap clean_up EXIT

"$binary" --output json dev --data-dir "$directory/data" --port 0 \
  >"$directory/ready.json" 2>"$directory/log" &
server=$!
until [ -s "$directory/ready.json" ]; do
  kill -0 "$server" || { cat "$directory/log" >&2; exit 1; }
  sleep 0.2
done

# From the documents to values, without one in the arguments of a process.
value() { "$venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
url="$(value api <"$directory/ready.json")"
curl --fail --silent --show-error --output "$directory/openapi.json" "$url/api/v1/openapi.json"
"$venv/bin/python" -m openapi_spec_validator "$directory/openapi.json"

token="$(
  printf '{"tenant_id": "platform", "username": "admin", "password": "%s"}' \
    "$(value admin_password <"$directory/ready.json")" |
    curl --fail --silent --show-error --json @- "$url/api/v1/auth/login" | value access_token
)"
config="$directory/schemathesis.toml"
fuzz() {
  # Waiting and watching are meant to take long.
  (cd "$directory" && "$venv/bin/schemathesis" --config-file "$config" run "$directory/openapi.json" \
    --url "$url" --seed 1 --max-examples 10 --workers 2 --request-timeout 20 --no-color \
    --phases examples,coverage,fuzzing --exclude-path-regex ':(watch|wait)$' \
    --continue-on-failure --warnings off "$@")
}
cp scripts/schemathesis.toml "$config"
echo '== as nobody'
fuzz "$@"
echo '== as the platform administrator'
printf '\n[headers]\nAuthorization = "Bearer %s"\n' "$token" |
  cat scripts/schemathesis.toml - >"$config"
fuzz "$@"

if grep -E ' ERROR |panicked' "$directory/log"; then
  echo 'the server logged errors' >&2
  exit 1
fi
