# What the story says. Plain lines; on a terminal a line of progress is drawn over itself.
# Sourced by quickstart.

STEP_NAME='' STEP_START=0

say() { printf '%s\n' "$*"; }
# A line that belongs to the step under way.
tell() { printf '   %s\n' "$*"; }
# What a program printed, indented.
quote() { sed 's/^/   | /'; }

step() { # NUMBER TITLE
  step_end
  STEP_NAME="$1. $2" STEP_START=$SECONDS
  printf '\n== %s\n' "$STEP_NAME"
}
step_end() {
  [ -z "$STEP_NAME" ] || tell "($((SECONDS - STEP_START)) s)"
  STEP_NAME=''
}

# usage_fail: bad flags; cannot: the story could not run; fail: it ran, and something does not hold.
# Each says why and ends everything.
usage_fail() { printf 'quickstart: %s; see ./quickstart --help\n' "$*" >&2; SAID=1; exit 2; }
cannot() { printf 'quickstart: %s\n' "$*" >&2; SAID=1; exit 3; }
fail() {
  printf '\nFAILED in "%s": %s\n' "${STEP_NAME:-start}" "$*" >&2
  failure_hints
  SAID=1
  exit 1
}
# The commonest cause that hides behind others, and where to look.
failure_hints() {
  local free
  [ -n "${LOGS:-}" ] || return 0
  free=$(df -Pk "$DATA" | awk 'NR == 2 {print int($4 / 1024)}')
  if [ "${free:-999}" -lt 100 ]; then
    printf 'The disk of %s is full: %s MB are left. Choose another one with --data DIR.\n' "$DATA" "$free" >&2
  fi
  printf 'Logs are in %s\n' "$LOGS" >&2
}

progress() { # TEXT: drawn over the last one on a terminal, else printed when it changed a lot
  if [ -t 1 ]; then printf '\r   %-76.76s' "$1"; fi
}
progress_end() {
  if [ -t 1 ]; then printf '\r%-79s\r' ''; fi
}

thousands() { # 1234567 -> 1,234,567
  local n=$1 out=''
  while [ ${#n} -gt 3 ]; do out=",${n: -3}$out" n=${n:0:${#n}-3}; done
  printf '%s%s' "$n" "$out"
}
megabytes() { printf '%s MB' "$(thousands $((($1 + 500000) / 1000000)))"; }
