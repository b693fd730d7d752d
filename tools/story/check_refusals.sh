#!/usr/bin/env bash
# Tests of ./quickstart without its story: what it refuses, and that a signal leaves no process behind.
# usage: check_refusals.sh PORT_BASE; prints what failed, exit 1 if anything did.
set -uo pipefail
HERE=$(dirname "$(realpath "$0")")
QUICKSTART=$HERE/../../quickstart
PORT=$1
TMP=$(mktemp -d "${TMPDIR:-/tmp}/domicile-story-check-XXXXXX")
failed=0
complain() { echo "FAILED: $*"; sed 's/^/  | /' "$TMP/output"; failed=1; }

expect() { # STATUS WORDS ARGUMENTS…: quickstart ends so and says so
  local status=0 want=$1 words=$2
  shift 2
  "$QUICKSTART" "$@" >"$TMP/output" 2>&1 </dev/null || status=$?
  [ $status = "$want" ] || complain "quickstart $*: status $status, not $want"
  grep -q -- "$words" "$TMP/output" || complain "quickstart $*: does not say: $words"
}

refuses_flags() {
  expect 2 'unknown option --nonsense' --nonsense
  expect 2 'needs a value' --data
  expect 2 'takes a number' --port-base many
  expect 2 '1 to 65532' --port-base 70000
  expect 0 'usage: ./quickstart' --help
}

refuses_folders() {
  mkdir -p "$TMP/theirs" && echo precious >"$TMP/theirs/file"
  expect 3 'holds something else' --once --data "$TMP/theirs" --port-base "$PORT"
  [ "$(cat "$TMP/theirs/file")" = precious ] || complain 'a folder that is not ours was changed'
  mkdir -p "$TMP/ours" && echo 'domicile quickstart folder, format 1' >"$TMP/ours/.quickstart"
  (
    flock 9
    expect 3 'another quickstart works on' --once --data "$TMP/ours" --port-base "$PORT"
    exit $failed
  ) 9>>"$TMP/ours/.quickstart" || failed=1
}

refuses_busy_port() {
  local listener
  python3 -c "import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $PORT + 2)); s.listen(); print('ready', flush=True); time.sleep(600)" >"$TMP/listener" &
  listener=$!
  until grep -q ready "$TMP/listener" || ! kill -0 $listener 2>/dev/null; do sleep 0.05; done
  expect 3 "port $((PORT + 2)) .*--port-base" --once --data "$TMP/port" --port-base "$PORT"
  kill $listener
  wait $listener 2>/dev/null
}

# The whole group is told, as a terminal does; then nobody is left and the ports are free.
ends_with_its_children() {
  local pid status=0
  setsid "$QUICKSTART" --once --data "$TMP/signal" --port-base "$PORT" >"$TMP/output" 2>&1 </dev/null &
  pid=$!
  until grep -q 'is in force in all four' "$TMP/output" || ! kill -0 $pid 2>/dev/null; do sleep 0.2; done
  cp "$TMP/signal/outside/pids" "$TMP/pids"
  kill -TERM $pid
  wait $pid || status=$?
  [ $status = 143 ] || complain "quickstart ended with $status on SIGTERM, not 143"
  while read -r pid _; do
    if [ -r "/proc/$pid/cmdline" ] && grep -qaF "$TMP/signal" "/proc/$pid/cmdline"; then complain "process $pid is left"; fi
  done <"$TMP/pids"
  grep -q '^[0-9]* in$' "$TMP/pids" || complain 'the regions were not started'
}

refuses_flags
refuses_folders
refuses_busy_port
ends_with_its_children
rm -rf "$TMP"
exit $failed
