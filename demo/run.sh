#!/usr/bin/env bash
# Pins a real file through ipfs-cluster-service, with a real Kubo below it and
# the pinset in the CQL server that CQL_HOSTS names. Run it by make.
# usage: demo/run.sh demo|up|down|clean
set -euo pipefail
cd "$(dirname "$0")/.."

readonly bin=$PWD/bin
readonly up_dir=$PWD/.build/up
readonly ready_seconds=120

say() { printf '\n== %s\n' "$*"; }
fail() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}

# configure DIR sets the environment of Kubo, the peer and their clients.
# Two demos at once need different ports: each uses a loopback address of its
# own, made from the process id, which no other process has. What is started
# again keeps the address.
configure() {
  dir=$1
  mkdir -p "$dir"
  [[ -s $dir/address ]] || echo "127.$((1 + ($$ >> 16))).$((($$ >> 8) & 255)).$(($$ & 255))" >"$dir/address"
  local address
  address=$(<"$dir/address")
  api=/ip4/$address/tcp/9094
  export IPFS_PATH=$dir/ipfs IPFS_TELEMETRY=off
  export IPFS_CLUSTER_PATH=$dir/cluster
  export CLUSTER_LISTENMULTIADDRESS=/ip4/$address/tcp/9096
  export CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS=$api
  export CLUSTER_IPFSPROXY_LISTENMULTIADDRESS=/ip4/$address/tcp/9095
  export CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS=/ip4/$address/tcp/9097
  export CLUSTER_ADMIN_LISTEN=$address:9089
  export CLUSTER_MDNSINTERVAL=0
  export CLUSTER_EVENTS_EMBEDDED_ENABLED=true CLUSTER_EVENTS_EMBEDDED_LISTEN=$address:4222
  export CLUSTER_SCYLLA_PORT=9042 CLUSTER_SCYLLA_HOSTS=$CQL_HOSTS
  if [[ $CQL_HOSTS =~ :([0-9]+)$ ]]; then
    CLUSTER_SCYLLA_PORT=${BASH_REMATCH[1]}
    CLUSTER_SCYLLA_HOSTS=${CQL_HOSTS//:$CLUSTER_SCYLLA_PORT/}
  fi
}

ctl() { "$bin/ipfs-cluster-ctl" --host "$api" "$@"; }

# wait_for WHAT PID LOG COMMAND… polls until COMMAND succeeds. It fails when
# process PID ends before, and shows the end of its log.
wait_for() {
  local what=$1 pid=$2 log=$3 deadline=$((SECONDS + ready_seconds)) reason
  shift 3
  until "$@" >/dev/null 2>&1; do
    reason=
    kill -0 "$pid" 2>/dev/null || reason="$what: the process ended"
    ((SECONDS < deadline)) || reason="$what: not within $ready_seconds s"
    if [[ $reason ]]; then
      echo "--- the end of ${log#"$PWD"/}:" >&2
      tail -n 30 "$log" >&2
      fail "$reason"
    fi
    sleep 0.2
  done
}

# Asked of the daemon: without its address file, ipfs would open the repository
# itself.
kubo_answers() { [[ -s $IPFS_PATH/api ]] && "$bin/ipfs" --api "$(<"$IPFS_PATH/api")" id; }

init_kubo() {
  say "Kubo: a private repository, offline"
  "$bin/ipfs" init --profile test >"$dir/ipfs-init.log" 2>&1 || fail "ipfs init: $(<"$dir/ipfs-init.log")"
}

start_kubo() {
  rm -f "$IPFS_PATH/api" # one that was killed leaves it
  setsid "$bin/ipfs" daemon --offline >>"$dir/ipfs.log" 2>&1 </dev/null &
  kubo_pid=$!
  echo "$kubo_pid" >"$dir/kubo.pid"
  wait_for "Kubo ready" "$kubo_pid" "$dir/ipfs.log" kubo_answers
  echo "ready at $(<"$IPFS_PATH/api")"
}

init_peer() {
  say "ipfs-cluster-service init --state scylla; ipfs-cluster-service daemon"
  "$bin/ipfs-cluster-service" init --state scylla >"$dir/init.log" 2>&1 || fail "init: $(<"$dir/init.log")"
}

start_peer() {
  CLUSTER_IPFSHTTP_NODEMULTIADDRESS=$(<"$IPFS_PATH/api")
  export CLUSTER_IPFSHTTP_NODEMULTIADDRESS CLUSTER_IPFSPROXY_NODEMULTIADDRESS=$CLUSTER_IPFSHTTP_NODEMULTIADDRESS
  setsid "$bin/ipfs-cluster-service" daemon >>"$dir/peer.log" 2>&1 </dev/null &
  peer_pid=$!
  echo "$peer_pid" >"$dir/peer.pid"
  wait_for "peer ready" "$peer_pid" "$dir/peer.log" ctl id
  echo "ready at $api, keyspace $CLUSTER_SCYLLA_KEYSPACE at $CQL_HOSTS"
}

is_pinned() { ctl status "$cid" | grep -q ' : PINNED '; }

pin_file() {
  local file=README.md
  say "ipfs-cluster-ctl add $file"
  cid=$(ctl add --quieter "$file")
  echo "$cid"
  say "ipfs-cluster-ctl status $cid"
  wait_for "status PINNED" "$peer_pid" "$dir/peer.log" is_pinned
  ctl status "$cid"
  say "ipfs pin ls: Kubo holds it, and gives the same bytes back"
  "$bin/ipfs" pin ls --type recursive "$cid"
  "$bin/ipfs" cat "$cid" | cmp - "$file"
  say "its row: SELECT * FROM $CLUSTER_SCYLLA_KEYSPACE.pins"
  "$bin/cqlserver" query "SELECT * FROM $CLUSTER_SCYLLA_KEYSPACE.pins LIMIT 1"
}

# show_events shows what other programs are told of the pin.
show_events() {
  say "ipfs-cluster-service events tail --since 10m --cid $cid --count 2"
  timeout "$ready_seconds" "$bin/ipfs-cluster-service" events tail --since 10m --cid "$cid" --count 2 ||
    fail "there were not two events of the pin within $ready_seconds s"
}

# show_health shows what an operator watches: how long pins took, and whether Kubo has what
# the database says.
show_health() {
  if command -v curl >/dev/null; then
    say "curl http://$CLUSTER_ADMIN_LISTEN/metrics | grep pin_slo_events: pinned within 60 s, or late"
    curl -sS "http://$CLUSTER_ADMIN_LISTEN/metrics" | grep -E '^ipfscluster_pin_slo_events_total\{content="available",result="(good|late)"'
  fi
  say "ipfs-cluster-service state drift --grace 0s: Kubo holds what the database says"
  "$bin/ipfs-cluster-service" --loglevel error state drift --grace 0s
}

# gateway_keyspace KEYSPACE prints that of the gateway beside the peer's.
gateway_keyspace() { echo "${1:0:40}_gateway"; }

# start_gateway starts an issuer of tokens, for the demo only, and the gateway, which
# trusts it, and makes a tenant.
start_gateway() {
  local address=$(<"$dir/address") gateway=$dir/gateway
  export PIN_GATEWAY_LISTEN=$address:9098 PIN_GATEWAY_PUBLIC_URL=http://$address:9098 PIN_GATEWAY_ENVIRONMENT=test
  export PIN_GATEWAY_SHUTDOWN_DELAY=0s
  export PIN_GATEWAY_CONFIG=$gateway/pin-gateway.json PIN_GATEWAY_PEERS_URLS=http://$address:9094
  export PIN_GATEWAY_DATABASE_HOSTS=$CLUSTER_SCYLLA_HOSTS PIN_GATEWAY_DATABASE_PORT=$CLUSTER_SCYLLA_PORT
  PIN_GATEWAY_DATABASE_KEYSPACE=$(gateway_keyspace "$CLUSTER_SCYLLA_KEYSPACE")
  export PIN_GATEWAY_DATABASE_KEYSPACE
  say "pin-gateway init; pin-gateway serve"
  mkdir -p "$gateway"
  if [[ ! -e $PIN_GATEWAY_CONFIG ]]; then
    "$bin/pin-gateway" init >"$dir/gateway-init.log" 2>&1 || fail "pin-gateway init: $(<"$dir/gateway-init.log")"
    sed -i "s|\"issuers\": \[\]|\"issuers\": [{\"url\": \"http://$address:9080\", \"audiences\": [\"pinning-api\"], \"algorithms\": [\"EdDSA\"], \"allow_http\": true, \"tenant_claim\": \"tenant\", \"tenants\": [\"demo\"], \"roles_claims\": [\"roles\"], \"scopes_claims\": [\"scopes\"]}]|" "$PIN_GATEWAY_CONFIG"
  fi
  # What an earlier process has logged does not say that this one is ready.
  for log in issuer gateway; do [[ ! -e $dir/$log.log ]] || mv "$dir/$log.log" "$dir/$log.log.1"; done
  setsid "$bin/demo-issuer" -listen "$address:9080" -folder "$gateway" -users alice:demo:user,eve:demo:viewer >>"$dir/issuer.log" 2>&1 </dev/null &
  echo "$!" >"$dir/issuer.pid"
  wait_for "issuer ready" "$!" "$dir/issuer.log" grep -q issuing "$dir/issuer.log"
  setsid "$bin/pin-gateway" serve >>"$dir/gateway.log" 2>&1 </dev/null &
  echo "$!" >"$dir/gateway.pid"
  wait_for "gateway ready" "$!" "$dir/gateway.log" grep -q "serving http" "$dir/gateway.log"
  echo "ready at $PIN_GATEWAY_PUBLIC_URL, keyspace $PIN_GATEWAY_DATABASE_KEYSPACE"
  if ! "$bin/pin-gateway" tenant show demo >/dev/null 2>&1; then
    say "pin-gateway tenant create demo"
    "$bin/pin-gateway" tenant create demo
  fi
  # The issuer has made new tokens.
  for user in alice eve; do
    "$bin/ipfs" pin remote service rm "$user" >/dev/null 2>&1 || true
    "$bin/ipfs" pin remote service add "$user" "$PIN_GATEWAY_PUBLIC_URL/psa" "$(<"$gateway/$user.jwt")"
  done
  export -p | grep '^declare -x PIN_GATEWAY_' >"$gateway/env"
}

# use_gateway pins as one user of a tenant, and is denied to remove the pin as another.
use_gateway() {
  local gateway=$dir/gateway file=LICENSE added
  say "ipfs pin remote add --service=alice, with a token of the issuer for alice, a user of the tenant demo"
  added=$("$bin/ipfs" add --quieter --pin=false "$file")
  timeout "$ready_seconds" "$bin/ipfs" pin remote add --service=alice --name="$file" "$added" ||
    fail "the gateway did not pin it within $ready_seconds s"
  say "ipfs pin remote rm --service=eve, with a token for eve, who is a viewer: denied"
  if "$bin/ipfs" pin remote rm --service=eve --name="$file" 2>"$dir/denied.log"; then
    fail "eve was not denied to remove the pin"
  fi
  cat "$dir/denied.log"
  say "pin-gateway audit search --verdict denied: it is on record"
  "$bin/pin-gateway" audit search --verdict denied
  "$bin/pin-gateway" audit verify --key "$gateway/audit-public.pem"
}

# stop DIR ends what was started from DIR.
stop() {
  end "$1" gateway
  end "$1" issuer
  end "$1" peer
  end "$1" kubo
}

end() { # DIR kubo|peer|issuer|gateway
  local pid deadline=$((SECONDS + 15))
  runs "$@" || return 0
  pid=$(<"$1/$2.pid")
  kill "$pid" 2>/dev/null || true
  while runs "$@"; do
    if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
    sleep 0.1
  done
}

# runs DIR kubo|peer|issuer|gateway: a process id may have a new owner, only a process that was
# started with DIR in its environment is meant.
runs() {
  [[ -s $1/$2.pid ]] && grep -zqxF "IPFS_PATH=$1/ipfs" "/proc/$(<"$1/$2.pid")/environ" 2>/dev/null
}

clean_up() {
  local code=$?
  trap '' INT TERM HUP
  stop "$dir" || true
  # On a server that was here before, nothing of the demo stays.
  for keyspace in "$CLUSTER_SCYLLA_KEYSPACE" "$(gateway_keyspace "$CLUSTER_SCYLLA_KEYSPACE")"; do
    "$bin/cqlserver" query "DROP KEYSPACE IF EXISTS $keyspace" >/dev/null 2>&1 || true
  done
  rm -rf "$dir"
  exit "$code"
}

demo() {
  [[ ${CQL_HOSTS:-} ]] || fail "CQL_HOSTS is not set; run this by: make demo"
  export CLUSTER_SCYLLA_KEYSPACE
  CLUSTER_SCYLLA_KEYSPACE=demo_$(od -An -N6 -tx1 /dev/urandom | tr -d ' ')
  mkdir -p .build
  configure "$(mktemp -d "$PWD/.build/demo.XXXXXX")"
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  init_kubo
  start_kubo
  init_peer
  start_peer
  pin_file
  show_events
  show_health
  start_gateway
  use_gateway
  say "done on ${CQL_ENGINE_NAME:-the CQL server at $CQL_HOSTS}; what ran is stopped and removed"
  cat <<'END'
Next:
  make up      leave Kubo, the peer, the gateway and the CQL server running, and play with them
  make test    run all tests on a real CQL server
  CQL_HOSTS=host1,host2 make demo    use a CQL server of yours
END
}

up() {
  if [[ -f $up_dir/usage ]]; then
    up_again
    cat "$up_dir/usage"
    return
  fi
  if [[ -d $up_dir ]]; then
    say "an earlier make up has not come to its end: deleting what it has left"
    down
  fi
  mkdir -p "$up_dir"
  trap down EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  start_cql
  take_keyspace "${CLUSTER_SCYLLA_KEYSPACE:-ipfs_cluster}"
  configure_up
  init_kubo
  start_kubo
  init_peer
  start_peer
  pin_file
  show_events
  start_gateway
  cat >"$up_dir/usage" <<END

Kubo, the peer, the gateway and the CQL server are running. Try:
  bin/ipfs-cluster-ctl --host $api pin ls
  bin/ipfs-cluster-ctl --host $api add LICENSE
  bin/ipfs-cluster-ctl --host $api status
  IPFS_PATH=$IPFS_PATH bin/ipfs pin ls
  bin/ipfs-cluster-service -c $IPFS_CLUSTER_PATH events tail
  bin/cqlserver query 'SELECT * FROM $CLUSTER_SCYLLA_KEYSPACE.pins'
and how it does:
  curl http://$CLUSTER_ADMIN_LISTEN/readyz
  curl http://$CLUSTER_ADMIN_LISTEN/metrics
  CLUSTER_IPFSHTTP_NODEMULTIADDRESS=\$(cat $IPFS_PATH/api) bin/ipfs-cluster-service -c $IPFS_CLUSTER_PATH state drift
  bin/ipfs-cluster-service -c $IPFS_CLUSTER_PATH debug bundle
and through the gateway, as alice, who is a user of the tenant demo, or eve, who may only look:
  curl -H "Authorization: Bearer \$(cat .build/up/gateway/alice.jwt)" $PIN_GATEWAY_PUBLIC_URL/psa/pins
  curl -H "Authorization: Bearer \$(cat .build/up/gateway/alice.jwt)" -H 'Content-Type: application/json' -d '{"cid": "$cid", "name": "readme"}' $PIN_GATEWAY_PUBLIC_URL/psa/pins
  IPFS_PATH=$IPFS_PATH bin/ipfs pin remote ls --service=alice
  (. .build/up/gateway/env; bin/pin-gateway audit search)
The tokens are good for 12 hours, and made again with the gateway.
Logs are in .build/up. What dies is started again by: make up
Stop all of it, and delete its data, with: make down
END
  trap - EXIT INT TERM HUP
  cat "$up_dir/usage"
}

# take_keyspace KEYSPACE notes which keyspace the peer makes, and where; the gateway makes
# one beside it. On a server that stays when this stops, they are to be dropped then: one
# that is there already belongs to others.
take_keyspace() {
  local found keyspace
  [[ $1 =~ ^[a-z][a-z0-9_]{0,47}$ ]] ||
    fail "CLUSTER_SCYLLA_KEYSPACE=$1 is not the name of a keyspace: up to 48 of a-z, 0-9 and _, a letter first"
  if [[ $cql_stays ]]; then
    for keyspace in "$1" "$(gateway_keyspace "$1")"; do
      found=$("$bin/cqlserver" query "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '$keyspace'")
      [[ $found == *" 0 rows" ]] ||
        fail "the keyspace $keyspace at $CQL_HOSTS is not of make up: name another one with CLUSTER_SCYLLA_KEYSPACE, or drop it"
    done
  fi
  echo "$1" >"$up_dir/keyspace"
  echo "$CQL_HOSTS" >"$up_dir/hosts"
  if [[ $cql_stays ]]; then touch "$up_dir/drop-keyspace"; else rm -f "$up_dir/drop-keyspace"; fi
}

# start_cql starts the CQL server, or what has died of it. It sets new_cql when
# none ran here, and cql_stays when down leaves it: it was here before, or is
# somebody else's.
start_cql() {
  local hosts named=${CQL_HOSTS:-}
  new_cql=
  # A server that make cql-up started stays when this stops.
  if [[ ! -e .build/cql/data/cluster.json ]] && ! "$bin/cqlserver" hosts >/dev/null 2>&1; then
    new_cql=1
    touch "$up_dir/started-cql"
  fi
  hosts=$("$bin/cqlserver" up)
  export CQL_HOSTS=${hosts#CQL_HOSTS=}
  cql_stays=1
  if [[ $new_cql && ! $named ]]; then cql_stays=; fi
}

# up_again starts what has died since make up, with its data.
up_again() {
  local why=
  runs "$up_dir" peer || why="it has died"
  if [[ ! ${CQL_HOSTS:-} && -f $up_dir/drop-keyspace && -f $up_dir/started-cql ]]; then
    export CQL_HOSTS
    CQL_HOSTS=$(<"$up_dir/hosts") # a server of yours, which cqlserver may have forgotten
  fi
  start_cql
  if [[ $new_cql && $cql_stays && $CQL_HOSTS == "$(<"$up_dir/hosts")" ]]; then
    : # a server of somebody else's, which only cqlserver has forgotten
  elif [[ $new_cql ]]; then
    say "the CQL server that the peer used is gone, with its data: this is another one"
    take_keyspace "$(<"$up_dir/keyspace")"
    why=${why:-for the other CQL server}
  elif [[ $CQL_HOSTS != "$(<"$up_dir/hosts")" ]]; then
    why=${why:-for the CQL server, which has moved}
  fi
  runs "$up_dir" kubo || why=${why:-for Kubo, which has died and gets another address}
  configure_up
  [[ ! $why ]] || end "$up_dir" peer
  if ! runs "$up_dir" kubo; then
    say "Kubo has died; starting it again with its data"
    start_kubo
  fi
  if [[ $why ]]; then
    say "starting the peer again: $why"
    start_peer
  fi
  if [[ $why ]] || ! runs "$up_dir" gateway || ! runs "$up_dir" issuer; then
    end "$up_dir" gateway
    end "$up_dir" issuer
    start_gateway
    echo "$CQL_HOSTS" >"$up_dir/hosts"
  fi
  wait_for "pins listed" "$(<"$up_dir/peer.pid")" "$up_dir/peer.log" ctl pin ls
}

configure_up() {
  export CLUSTER_SCYLLA_KEYSPACE
  CLUSTER_SCYLLA_KEYSPACE=$(<"$up_dir/keyspace")
  configure "$up_dir"
}

down() {
  stop "$up_dir"
  if [[ -f $up_dir/drop-keyspace ]]; then drop_keyspace; fi
  if [[ -f $up_dir/started-cql ]]; then "$bin/cqlserver" down; fi
  rm -rf "$up_dir"
}

# drop_keyspace drops the keyspaces that up has made. What is needed for that
# stays as long as it fails.
drop_keyspace() {
  local keyspace hosts name
  name=$(<"$up_dir/keyspace")
  hosts=$(<"$up_dir/hosts")
  for keyspace in "$name" "$(gateway_keyspace "$name")"; do
    say "dropping the keyspace $keyspace at $hosts, which make up has made"
    CQL_HOSTS=$hosts "$bin/cqlserver" query "DROP KEYSPACE IF EXISTS \"$keyspace\"" >/dev/null ||
      fail "the keyspace $keyspace is still there: run this again when $hosts answers; if that server is gone for good: rm -r .build/up"
  done
  rm "$up_dir/drop-keyspace"
}

clean() {
  if [[ -x $bin/cqlserver ]]; then
    down
    "$bin/cqlserver" down
  fi
  rm -rf bin .build
}

case ${1:-} in
  demo | up | down | clean) "$1" ;;
  *) sed -n 4p "$0" >&2; exit 2 ;;
esac
