# The story's folder: DATA/{cn,sg,us,in} belong to the regions, DATA/outside to everybody else:
# keys, originals, journals, logs, what an auditor keeps. Sourced by quickstart.

MARK='domicile quickstart folder, format 1'
SPACE_MB_MIN=3000 # 2 GB at its height: bodies twice during a move, preallocated logs, needles

folder_is_ours() { [ "$(head -n 1 "$1/.quickstart" 2>/dev/null || true)" = "$MARK" ]; }
folder_is_empty() { [ -z "$(ls -A "$1" 2>/dev/null)" ]; }

# A daemon that outlived a story which was killed hard would write on below a new one.
folder_check_orphans() { # DATA
  local pid name
  [ -r "$1/outside/pids" ] || return 0
  while read -r pid name; do
    if [ -r "/proc/$pid/cmdline" ] && tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$1/"; then
      cannot "process $pid ($name) of an earlier run still works on $1: end it first (kill $pid)"
    fi
  done <"$1/outside/pids"
}

folder_check_space() { # DATA
  local free
  free=$(df -Pk "$1" | awk 'NR==2 {print int($4 / 1024)}')
  [ "$free" -ge $SPACE_MB_MIN ] ||
    cannot "only $free MB are free on the disk of $1, the story needs $SPACE_MB_MIN: choose another one with --data DIR"
}

# Takes the folder for this run: alone, empty, with room. Sets DATA (absolute), OUTSIDE, LOGS, PIDS.
folder_take() { # DIR YES
  local dir=$1 yes=$2
  mkdir -p "$dir" 2>/dev/null || cannot "the folder $dir cannot be made"
  DATA=$(realpath "$dir")
  [ -w "$DATA" ] || cannot "the folder $DATA cannot be written to"
  if ! folder_is_empty "$DATA" && ! folder_is_ours "$DATA" && [ "$yes" != yes ]; then
    cannot "$DATA holds something else: name an empty folder with --data DIR (or say --yes: cn, sg, us, in and outside in it are then deleted)"
  fi
  exec 9>>"$DATA/.quickstart" || cannot "the folder $DATA cannot be written to"
  flock -n 9 || cannot "another quickstart works on $DATA: end it, or name another folder with --data DIR"
  printf '%s\n' "$MARK" >"$DATA/.quickstart" || cannot "the folder $DATA cannot be written to"
  folder_check_orphans "$DATA"
  if [ -e "$DATA/outside" ]; then say "Starting afresh: what an earlier run left in $DATA is deleted."; fi
  rm -rf "${DATA:?}"/cn "$DATA"/sg "$DATA"/us "$DATA"/in "$DATA"/outside ||
    cannot "what an earlier run left in $DATA cannot be deleted"
  folder_check_space "$DATA"
  OUTSIDE=$DATA/outside LOGS=$DATA/outside/logs PIDS=$DATA/outside/pids
  mkdir -p "$LOGS" "$OUTSIDE"/{keys,charters,originals,vkeys,checkpoints,receipts,needles,control}
  chmod 700 "$OUTSIDE"
}
