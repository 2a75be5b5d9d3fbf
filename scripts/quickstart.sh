#!/usr/bin/env bash
# The main job on this machine, from a fresh clone: installs what is missing,
# builds, starts `yuantus dev`, gives tenant-1/org-1 a database with real data,
# backs it up, breaks it, restores it, and proves that every row is back.
# Everything is kept in a temporary directory and removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

started=$SECONDS
step() { printf '\n[%3ss] %s\n' "$((SECONDS - started))" "$1"; }
fail() { printf 'FAILED: %s\n' "$1" >&2; exit 1; }

step 'Installing what is missing'
command -v cargo >/dev/null || fail 'Rust is missing: https://rustup.rs'
scripts/packages.sh build-essential ca-certificates postgresql

step 'Building (a few minutes the first time)'
cargo build --locked -p yuantus
export PATH="$PWD/target/debug:$PATH"
for bin in /usr/lib/postgresql/*/bin; do PATH="$PATH:$bin"; done

home=$(mktemp -d)
chmod 755 "$home"
export XDG_CONFIG_HOME="$home/config"
dev=
stop() {
  status=$?
  if [ -n "$dev" ] && kill -0 "$dev" 2>/dev/null; then
    kill -TERM "$dev"
    wait "$dev" || true
  fi
  [ "$status" -eq 0 ] || { echo '--- the log of yuantus dev ---' >&2; grep -v '^ *Password' "$home/dev.log" | tail -n 40 >&2 || true; }
  rm -rf "$home"
}
trap stop EXIT

step 'Starting yuantus dev'
port=$(( 20000 + RANDOM % 20000 ))
yuantus dev --data-dir "$home/data" --port "$port" >"$home/dev.log" 2>&1 &
dev=$!
for _ in $(seq 300); do
  grep -q 'Password ' "$home/dev.log" && break
  kill -0 "$dev" 2>/dev/null || fail 'yuantus dev ended'
  sleep 0.1
done
sed -n '/is ready/,/Log in/p' "$home/dev.log"
password=$(awk '/^ *Password /{print $2; exit}' "$home/dev.log")
printf '%s' "$password" | yuantus login --server "http://127.0.0.1:$port" --username admin --password-stdin

org=tenant-1/org-1
step "Creating $org"
yuantus tenant create tenant-1
yuantus org create "$org" --wait

step 'Loading data: pgbench -i -s 5 (500,000 accounts), and customers'
# The tables belong to the owner role, as those of migrations do.
pg_port=$(sed -n 's#.*postgresql://[^@]*@127.0.0.1:\([0-9]*\)/.*#\1#p' "$home/dev.log" | head -n 1)
as_owner() {
  PGPASSWORD=$(cat "$home/data/postgres/superuser.password") \
  PGHOST=127.0.0.1 PGPORT=$pg_port PGUSER=postgres PGDATABASE=yuantus_mt_pg__tenant-1__org-1 \
  PGOPTIONS='-c role=yuantus_tenant_owner' "$@"
}
as_owner pgbench -i -s 5 -q
yuantus org connect "$org" -- -q -v ON_ERROR_STOP=1 -c \
  "INSERT INTO customers (name, email) SELECT 'Customer ' || n, n || '@example.com' FROM generate_series(1, 1000) n"

# Every table with its row count and a hash over all of its rows, as the
# tenant's own role sees them.
fingerprint() {
  yuantus org connect "$org" -- -At -v ON_ERROR_STOP=1 <<'SQL'
SELECT format('SELECT %L, count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM %I.%I t',
              schemaname || '.' || tablename, schemaname, tablename)
FROM pg_tables WHERE schemaname = 'public' ORDER BY 1
\gexec
SQL
}
fingerprint >"$home/before"
column -t -s '|' "$home/before" 2>/dev/null || cat "$home/before"

step 'Backing it up to S3'
yuantus backup create "$org" --wait

step 'Breaking it: dropping a table, deleting rows'
as_owner psql -q -c 'DROP TABLE pgbench_accounts' -c 'DELETE FROM customers WHERE length(name) > 11'
fingerprint >"$home/broken"
if cmp -s "$home/before" "$home/broken"; then fail 'it is not broken'; fi

step 'Restoring it'
yuantus backup restore "$org" latest --wait

step 'Comparing every table with what it was'
fingerprint >"$home/after"
diff "$home/before" "$home/after" || fail 'the restored data differs'
echo "All $(wc -l <"$home/after") tables are back, row for row."

step 'Stopping'
kill -TERM "$dev"
wait "$dev"
dev=
step 'Done'
