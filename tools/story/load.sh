# The project's own load client, which shares no code with what it tests. Sourced by quickstart.

load() { command "$LOADER" "$@" 9>&-; }

# Runs the loader as a child and draws how far it got, by the lines of its journal.
load_run() { # NAME TOTAL JOURNAL ARGUMENTS…
  local name=$1 total=$2 journal=$3 lines last=0
  shift 3
  : >>"$journal"
  child_start "$name" "$LOGS/$name.out" "$LOGS/$name.err" "$LOADER" "$@"
  while child_alive "$name"; do
    lines=$(wc -l <"$journal" 2>/dev/null || echo 0)
    progress "$name: $lines of about $total"
    if [ ! -t 1 ] && [ $((lines * 4 / total)) -gt $last ]; then
      last=$((lines * 4 / total))
      tell "$lines of about $total"
    fi
    sleep 0.2
  done
  progress_end
  child_wait "$name" || { quote <"$LOGS/$name.err" | tail -n 20; quote <"$LOGS/$name.out" | tail -n 20; return 1; }
}

# ---- the plan -------------------------------------------------------------------------------------

plan_make() {
  load people --out "$OUTSIDE/originals" --objects 10 >"$LOGS/people.out" || fail "no plan could be made"
  PLAN=$OUTSIDE/originals/plan.tsv SUBJECTS=$OUTSIDE/originals/subjects.tsv
  eval "$(awk -F'\t' -f "$STORY/plan.awk" "$PLAN")" # numbers of its own making only
  [ "$PLAN_PEOPLE" -ge 200 ] && [ "$PLAN_COUNTRIES" -ge 5 ] && [ "$PLAN_OBJECTS" -ge 2000 ] &&
    [ "$PLAN_PICTURES" -ge 300 ] && [ "$PLAN_LARGEST" -gt $((64 << 20)) ] && [ "$PLAN_HEAVY" -ge 2 ] &&
    [ "$PLAN_EMPTY" -ge 1 ] && [ "$PLAN_UTF8" -ge 1 ] ||
    fail "the plan is smaller than the story: $PLAN_PEOPLE people, $PLAN_OBJECTS objects, $PLAN_PICTURES pictures"
}

# ---- the writer that goes on while people move -----------------------------------------------------

# Prints the value of one count, e.g. `writer_count cn held`; 0 before the first line is there.
writer_count() { # GATEWAY.PART WORD
  local line=''
  if [ -r "$OUTSIDE/originals/$1.met" ]; then line=$(cat "$OUTSIDE/originals/$1.met"); fi
  case " $line " in
    *" $2="*) line=${line#*"$2="} line=${line%% *} ;;
    *) line=0 ;;
  esac
  echo "${line:-0}"
}

writer_start() { # NAME GATEWAY RATE KINDS…: what of a person it writes; no two writers the same
  local name=$1 gateway=$2 rate=$3 kind kinds=()
  shift 3
  for kind in "$@"; do kinds+=(--kind "$kind"); done
  rm -f "$OUTSIDE/originals/$name.stop"
  child_start "$name" "$LOGS/$name.out" "$LOGS/$name.err" "$LOADER" write --endpoint "$(url_of "$gateway")" \
    --subjects "$SUBJECTS" --country IN --bucket phones "${kinds[@]}" --workers 12 --rate "$rate" \
    --journal "$OUTSIDE/originals/$name.tsv" --status "$OUTSIDE/originals/$name.met" \
    --stop-file "$OUTSIDE/originals/$name.stop"
  JOURNALS+=(--journal "$OUTSIDE/originals/$name.tsv")
}

# Any failure of the writer is the story's: it retries nothing, and a 503 counts.
writer_end() { # NAME
  touch "$OUTSIDE/originals/$1.stop"
  child_wait "$1" || {
    quote <"$LOGS/$1.out"
    awk -F'\t' '$1 == "A" && ($6 < 200 || $6 > 299)' "$OUTSIDE/originals/$1.tsv" | head -n 5 | quote
    fail "the writer $1 met failures: see $OUTSIDE/originals/$1.tsv"
  }
}

# Until the writer's first operations were acknowledged: the move must not be over before it begins.
writer_settle() { # NAME
  local left=300
  until [ "$(writer_count "$1" ops)" -ge 20 ]; do
    child_alive "$1" && [ $((left -= 1)) -gt 0 ] || fail "the writer $1 does not get on: $(cat "$LOGS/$1.err")"
    sleep 0.1
  done
}
# After the move: until some more were sent on to the new home.
writer_linger() { # NAME
  local left=300 want
  want=$(($(writer_count "$1" forwarded) + 50))
  until [ "$(writer_count "$1" forwarded)" -ge $want ]; do
    child_alive "$1" && [ $((left -= 1)) -gt 0 ] || break
    sleep 0.1
  done
}
writer_add() { # NAME: its counts into the story's
  local word
  for word in home copying held forwarded; do MET[$word]=$((MET[$word] + $(writer_count "$1" $word))); done
  ACKNOWLEDGED=$((ACKNOWLEDGED + $(writer_count "$1" ops)))
  tell "$1: $(tail -n 1 "$LOGS/$1.out")"
}
