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
# own, made from the process id, which no other process has.
configure() {
  dir=$1
  local address=127.$((1 + ($$ >> 16))).$((($$ >> 8) & 255)).$(($$ & 255))
  api=/ip4/$address/tcp/9094
  export IPFS_PATH=$dir/ipfs IPFS_TELEMETRY=off
  export IPFS_CLUSTER_PATH=$dir/cluster
  export CLUSTER_LISTENMULTIADDRESS=/ip4/$address/tcp/9096
  export CLUSTER_RESTAPI_HTTPLISTENMULTIADDRESS=$api
  export CLUSTER_IPFSPROXY_LISTENMULTIADDRESS=/ip4/$address/tcp/9095
  export CLUSTER_PINSVCAPI_HTTPLISTENMULTIADDRESS=/ip4/$address/tcp/9097
  export CLUSTER_MDNSINTERVAL=0
  export CLUSTER_SCYLLA_PORT=9042 CLUSTER_SCYLLA_HOSTS=$CQL_HOSTS
  if [[ $CQL_HOSTS =~ :([0-9]+)$ ]]; then
    CLUSTER_SCYLLA_PORT=${BASH_REMATCH[1]}
    CLUSTER_SCYLLA_HOSTS=${CQL_HOSTS//:$CLUSTER_SCYLLA_PORT/}
  fi
  mkdir -p "$dir"
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

start_kubo() {
  say "Kubo: a private repository, offline"
  "$bin/ipfs" init --profile test >"$dir/ipfs-init.log" 2>&1 || fail "ipfs init: $(<"$dir/ipfs-init.log")"
  setsid "$bin/ipfs" daemon --offline >"$dir/ipfs.log" 2>&1 </dev/null &
  kubo_pid=$!
  echo "$kubo_pid" >>"$dir/pids"
  wait_for "Kubo ready" "$kubo_pid" "$dir/ipfs.log" kubo_answers
  CLUSTER_IPFSHTTP_NODEMULTIADDRESS=$(<"$IPFS_PATH/api")
  export CLUSTER_IPFSHTTP_NODEMULTIADDRESS CLUSTER_IPFSPROXY_NODEMULTIADDRESS=$CLUSTER_IPFSHTTP_NODEMULTIADDRESS
  echo "ready at $CLUSTER_IPFSHTTP_NODEMULTIADDRESS"
}

start_peer() {
  say "ipfs-cluster-service init --state scylla; ipfs-cluster-service daemon"
  "$bin/ipfs-cluster-service" init --state scylla >"$dir/init.log" 2>&1 || fail "init: $(<"$dir/init.log")"
  setsid "$bin/ipfs-cluster-service" daemon >"$dir/peer.log" 2>&1 </dev/null &
  peer_pid=$!
  echo "$peer_pid" >>"$dir/pids"
  wait_for "peer ready" "$peer_pid" "$dir/peer.log" ctl id
  echo "ready at $api, keyspace $CLUSTER_SCYLLA_KEYSPACE at $CQL_HOSTS"
}

is_pinned() { ctl status "$cid" | grep -q ' : PINNED '; }

pin_file() {
  local file=go.sum
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

# stop DIR ends what was started from DIR. A process id may have a new owner:
# only a process that was started with DIR in its environment is meant.
stop() {
  local pid pids=() deadline
  [[ -f $1/pids ]] || return 0
  while read -r pid; do
    if belongs "$pid" "$1"; then pids=("$pid" "${pids[@]}"); fi # the peer before Kubo
  done <"$1/pids"
  for pid in "${pids[@]}"; do
    kill "$pid" 2>/dev/null || true
    deadline=$((SECONDS + 15))
    while belongs "$pid" "$1"; do
      if ((SECONDS >= deadline)); then kill -KILL "$pid" 2>/dev/null || true; fi
      sleep 0.1
    done
  done
}

belongs() { # PID DIR
  tr '\0' '\n' 2>/dev/null <"/proc/$1/environ" | grep -qxF "IPFS_PATH=$2/ipfs"
}

clean_up() {
  local code=$?
  trap '' INT TERM HUP
  stop "$dir" || true
  # On a server that was here before, nothing of the demo stays.
  "$bin/cqlserver" query "DROP KEYSPACE IF EXISTS $CLUSTER_SCYLLA_KEYSPACE" >/dev/null 2>&1 || true
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
  start_kubo
  start_peer
  pin_file
  say "done on ${CQL_ENGINE_NAME:-the CQL server at $CQL_HOSTS}; what ran is stopped and removed"
  cat <<'END'
Next:
  make up      leave Kubo, the peer and the CQL server running, and play with ipfs-cluster-ctl
  make test    run all tests on a real CQL server
  CQL_HOSTS=host1,host2 make demo    use a CQL server of yours
END
}

up() {
  if [[ -f $up_dir/pids ]]; then
    local pid
    while read -r pid; do
      if belongs "$pid" "$up_dir"; then
        cat "$up_dir/usage"
        return
      fi
    done <"$up_dir/pids"
  fi
  rm -rf "$up_dir"
  local hosts
  trap 'stop "$up_dir"; "$bin/cqlserver" down' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  hosts=$("$bin/cqlserver" up)
  export CQL_HOSTS=${hosts#CQL_HOSTS=}
  export CLUSTER_SCYLLA_KEYSPACE=${CLUSTER_SCYLLA_KEYSPACE:-ipfs_cluster}
  configure "$up_dir"
  start_kubo
  start_peer
  pin_file
  cat >"$up_dir/usage" <<END

Kubo, the peer and the CQL server are running. Try:
  bin/ipfs-cluster-ctl --host $api pin ls
  bin/ipfs-cluster-ctl --host $api add LICENSE
  bin/ipfs-cluster-ctl --host $api status
  IPFS_PATH=$IPFS_PATH bin/ipfs pin ls
  bin/cqlserver query 'SELECT * FROM $CLUSTER_SCYLLA_KEYSPACE.pins'
Logs are in .build/up. Stop all of it with: make down
END
  trap - EXIT INT TERM HUP
  cat "$up_dir/usage"
}

down() {
  stop "$up_dir"
  rm -rf "$up_dir"
  "$bin/cqlserver" down
}

clean() {
  if [[ -x $bin/cqlserver ]]; then down; fi
  rm -rf bin .build
}

case ${1:-} in
  demo | up | down | clean) "$1" ;;
  *) sed -n 4p "$0" >&2; exit 2 ;;
esac
