# The processes that the story started: each is known by its id and ended with the story.
# Sourced by quickstart.

declare -A CHILDREN=() # name -> process id
CHILD_END_S=25 # a region drains for at most 20 s

child_start() { # NAME STDOUT STDERR COMMAND…: in the background
  local name=$1 out=$2 err=$3
  shift 3
  "$@" >"$out" 2>"$err" </dev/null 9>&- &
  CHILDREN[$name]=$!
  [ -z "${PIDS:-}" ] || printf '%s %s\n' "$!" "$name" >>"$PIDS"
}

child_alive() { [ -n "${CHILDREN[$1]:-}" ] && kill -0 "${CHILDREN[$1]}" 2>/dev/null; }

# Waits for a child; its exit status is the function's. A signal to the story is not held up by it.
child_wait() { # NAME
  local status=0
  wait "${CHILDREN[$1]}" || status=$?
  unset "CHILDREN[$1]"
  return $status
}

# Runs a command to its end as a child, its output in a file.
child_run() { # NAME OUTPUT COMMAND…
  local name=$1 output=$2
  shift 2
  child_start "$name" "$output" "$output.err" "$@"
  child_wait "$name"
}

child_end() { # NAME: asks it to end, and ends it when it does not
  local pid=${CHILDREN[$1]:-} left=$((CHILD_END_S * 10))
  [ -n "$pid" ] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null && [ $left -gt 0 ]; do
    sleep 0.1
    left=$((left - 1))
  done
  [ $left -gt 0 ] || kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
  unset "CHILDREN[$1]"
}

children_end() {
  local name pid
  for pid in "${CHILDREN[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
  for name in "${!CHILDREN[@]}"; do child_end "$name"; done
}

on_exit() {
  local status=$?
  trap '' INT TERM HUP
  progress_end
  if [ $status != 0 ] && [ -z "${SAID:-}" ]; then
    printf '\nquickstart: ended with status %s in "%s"\n' $status "${STEP_NAME:-start}" >&2
    failure_hints
  fi
  children_end
  exit $status
}
on_signal() { # STATUS
  progress_end
  say ''
  say 'ending the regions...'
  SAID=1
  exit "$1"
}
traps_set() {
  trap on_exit EXIT
  trap 'on_signal 130' INT
  trap 'on_signal 143' TERM HUP
}
