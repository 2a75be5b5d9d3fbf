#!/usr/bin/env bash
# Sends what the OpenAPI document allows, and what it does not, to every route: as a platform
# administrator, as one who acts for an org, with keys that may do what a tenant's administrator and
# what a member may, and as nobody. Ends with an error where an answer is a 5xx, is not as the
# document has it, or does not come.
# Usage: scripts/fuzz.sh [EXAMPLES A ROUTE, 5 if not given]
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

examples="${1:-5}"
step() { printf '\n== %s (%ss)\n' "$1" "$SECONDS"; }

step 'packages'
scripts/packages.sh build-essential ca-certificates curl jq postgresql python3-venv
target="${CARGO_TARGET_DIR:-target}"
if [ ! -e "$target/fuzz/ready" ]; then
  rm -rf "$target/fuzz"
  python3 -m venv "$target/fuzz"
  "$target/fuzz/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5
  touch "$target/fuzz/ready"
fi
step 'build'
cargo build --locked --bin yuantus

step 'server'
# A token that no request can end.
token="$(head -c 32 /dev/urandom | base64 -w0)"
export BOOTSTRAP_TOKEN="$token" YUANTUS_AUTH__BOOTSTRAP_TOKEN_ALWAYS=true
yuantus="$(realpath "$target")/debug/yuantus"
directory="$(mktemp -d)"
# PostgreSQL drops to a user of its own where we are root.
chmod o+x "$directory"
"$yuantus" dev --data-dir "$directory/data" --port 0 >"$directory/log" 2>&1 &
server=$!
end() {
  # What a 5xx came of stands there alone.
  grep -E ' (WARN|ERROR) ' "$directory/log" >&2 || true
  kill "$server" 2>/dev/null
  wait "$server" || true
  rm -rf "$directory"
}
trap end EXIT
url=''
for _ in $(seq 300); do
  url="$(sed -n 's/^ *API *\(http[^ ]*\).*/\1/p' "$directory/log")"
  [ -n "$url" ] && break
  sleep 0.2
done
[ -n "$url" ] || { cat "$directory/log" >&2; exit 1; }
export YUANTUS_SERVER="$url" YUANTUS_TOKEN="$token" HOME="$directory"
# make TENANT: a tenant with the administrator ann and the org hq. What was fuzzed before may have
# closed all others.
password='a password of the fuzzer'
make() {
  printf '%s' "$password" | "$yuantus" tenant create "$1" --admin ann -o name >&2
  "$yuantus" org create "$1/hq" --wait -o name >&2
}

# key_of TENANT OPTION...: makes a tenant; prints a key of its administrator's, which no logout ends.
key_of() {
  local session
  make "$1"
  session="$(curl -fsS "$url/api/v1/auth/login" --json \
    "{\"tenant_id\": \"$1\", \"username\": \"ann\", \"password\": \"$password\"}" | jq -r .access_token)"
  YUANTUS_TOKEN="$session" "$yuantus" apikey create "$1" fuzz "${@:2}" -o json | jq -r .secret
}

config="$PWD/scripts/fuzz.toml"
fuzz() {
  step "$1"
  shift
  # It keeps what it found where it is started.
  (cd "$target/fuzz" && bin/schemathesis --config-file "$config" run "$url/api/v1/openapi.json" \
    --checks not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance \
    --phases examples,coverage,fuzzing --max-examples "$examples" --request-timeout 60 \
    --suppress-health-check all "$@")
}
# Waiting and watching take their time on purpose, for those who may.
briefly=(--exclude-path-regex ':(watch|wait)$')
make acme
fuzz 'a platform administrator' "${briefly[@]}" -H "Authorization: Bearer $token"
make fuzzing-owner
fuzz 'one who acts for an org' "${briefly[@]}" -H "Authorization: Bearer $token" -H 'x-tenant-id: fuzzing-owner' -H 'x-org-id: hq'
key="$(key_of fuzzing-admin --role tenant_admin)"
fuzz 'a key for an administrator of a tenant' "${briefly[@]}" -H "X-API-Key: $key" -H 'x-org-id: hq'
key="$(key_of fuzzing-member --role member --org hq)"
fuzz 'a key for a member' "${briefly[@]}" -H "X-API-Key: $key" -H 'x-org-id: hq'
fuzz 'nobody'
step 'done'
