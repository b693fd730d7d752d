# What the story asks of the program, each in one place. Sourced by quickstart.

# A number or a word of a one-line JSON object that the program printed.
json_number() { sed -n "s/.*\"$1\": *\\([0-9]*\\).*/\\1/p"; }
json_word() { sed -n "s/.*\"$1\": *\"\\([^\"]*\\)\".*/\\1/p"; }

# ---- keys and charters ------------------------------------------------------------------------------------

key_make() { # FILE ORIGIN VKEY_FILE: a region's seed, and its verifier key for others to keep
  domicile key generate "$1" --origin "$2" >"$3"
}
charter_key_make() { # NAME: NAME.seed, kept off the regions, and NAME.pub
  domicile charter keygen "$1" >/dev/null
}
charter_sign() { # FILE: its signature comes beside it
  domicile charter check "$1" >/dev/null &&
    domicile charter sign "$1" --seed "$OUTSIDE/keys/charter.seed" >/dev/null
}
charter_in_force() { domicile status --data "$1" --json | json_number charter; } # REGION
charter_everywhere() { # N
  local region
  for region in "${REGIONS[@]}"; do
    [ "$(charter_in_force "$region")" = "$1" ] ||
      domicile charter put "$OUTSIDE/charters/$1.yaml" --data "$region" >/dev/null ||
      fail "charter $1 cannot be put in force in region $region"
    [ "$(charter_in_force "$region")" = "$1" ] || fail "charter $1 is not in force in region $region"
  done
}

# ---- buckets and people --------------------------------------------------------------------------------------

buckets_make() {
  local bucket layout
  while read -r _ bucket layout; do
    domicile bucket create "$bucket" --layout "$layout" --owner "$TENANT" --data sg >/dev/null ||
      fail "bucket $bucket cannot be created"
    tell "bucket $bucket spans the four regions; the person stands in its keys: $layout"
  done < <(grep '^#bucket' "$PLAN")
}

living_count() { # WHEN: how many Indians are at home where
  local region
  for region in "${REGIONS[@]}"; do
    domicile subject list --country IN --data "$region" --json >"$LOGS/living" ||
      fail "region $region does not list its subjects"
    LIVING["$1 $region"]=$(grep -cE '"state": *"home"' "$LOGS/living" || true)
  done
}
living_say() { # WHEN
  local region out=''
  for region in "${REGIONS[@]}"; do out="$out, $region ${LIVING["$1 $region"]}"; done
  echo "${out#, }"
}

# ---- moves -----------------------------------------------------------------------------------------------------

MOVE_RATE=20000000 # bytes a second: slow enough to be watched, and to be met by a writer
THROTTLES_MAX=3

# What writers were acknowledged, by the state they met, over those named.
met_now() { # WORD WRITERS…
  local word=$1 sum=0 writer
  shift
  for writer in "$@"; do sum=$((sum + $(writer_count "$writer" "$word"))); done
  echo $sum
}

# One look at a job; sets STATE.
move_look() { # REGION ID FILE
  domicile move status "$2" --data "$1" --json >"$3" || fail "region $1 does not tell how its move goes"
  STATE=$(json_word state <"$3")
}

# Follows a job to its end; a move that is half over and was met in too few states is ended early, so that
# the rest goes slower. Returns: 1 when it ended so.
move_follow() { # REGION ID WRITERS…
  local region=$1 id=$2 file=$LOGS/move-$1.json there all failed
  shift 2
  while move_look "$region" "$id" "$file" && [ "$STATE" = running ]; do
    there=$(json_number subjects_done <"$file") all=$(json_number subjects <"$file")
    progress "$there of $all people moved; writes met: copying $(met_now copying "$@"), held $(met_now held "$@"), forwarded $(met_now forwarded "$@")"
    if [ "$THROTTLES" -lt $THROTTLES_MAX ] && [ $((there * 2)) -gt "$all" ] &&
      { [ "$(met_now copying "$@")" = 0 ] || [ "$(met_now held "$@")" = 0 ]; }; then
      domicile move cancel "$id" --data "$region" >/dev/null || true
      while move_look "$region" "$id" "$file" && [ "$STATE" = running ]; do sleep 0.2; done
      progress_end
      return 1
    fi
    sleep 0.3
  done
  progress_end
  failed=$(json_number subjects_failed <"$file")
  [ "$STATE" = "done" ] && [ "$failed" = 0 ] ||
    fail "the move from $region ended as $STATE, $failed people failed: $(json_word last_failure <"$file")"
}

move_country() { # FROM SHARES WRITERS…
  local from=$1 shares=$2 rate=$MOVE_RATE id held people moved=0
  shift 2
  THROTTLES=0
  tell "domicile move --country IN --from $from --to $shares --rate $((rate / 1000000))MB/s"
  while :; do
    domicile move --country IN --from "$from" --to "$shares" --rate $rate --detach --json --data "$from" >"$LOGS/move-$from.json" ||
      fail "the move from $from did not begin"
    id=$(json_number id <"$LOGS/move-$from.json")
    if move_follow "$from" "$id" "$@"; then STATE=moved; else STATE=throttled; fi
    people=$(json_number subjects_done <"$LOGS/move-$from.json") held=$(json_number held_ms_p99 <"$LOGS/move-$from.json")
    moved=$((moved + people))
    if [ "$held" -gt "$MOVE_HELD_P99" ]; then MOVE_HELD_P99=$held; fi
    if [ $STATE = moved ]; then break; fi
    THROTTLES=$((THROTTLES + 1)) rate=$((rate / 4))
    tell "some states were not met yet: the rest goes slower, $((rate / 1000)) kB/s"
  done
  tell "moved $moved people, none failed; writers were held at a fence for less than $held ms (p99)"
}

# ---- keys, erasure ---------------------------------------------------------------------------------------------

# Notes the keys that must not be found after the move: those of the people who are about to leave.
keys_note() { # REGION
  local n status=0
  n=$(python3 -B "$STORY/vault_keys.py" --slots "$DATA/$1/vault/slots-0" --kek-folder "$OUTSIDE/keys/$1/kek" \
    --route-key "$OUTSIDE/keys/route.key" --tenant "$TENANT" --subjects "$SUBJECTS" --country IN \
    --out "$OUTSIDE/needles/keys-in-$1") || fail "the keys in $1 cannot be noted"
  [ "$n" -gt 0 ] || fail "no key of an Indian is in region $1"
  # The scan's first control: what it looks for later is there now.
  child_run scan "$LOGS/scan-before-$1.out" "$LOADER" scan --needles "$OUTSIDE/needles/keys-in-$1" "$DATA/$1/vault" || status=$?
  [ $status = 1 ] && [ "$(json_hits "$LOGS/scan-before-$1.out")" -ge "$n" ] ||
    fail "the raw scan does not find the wrapped keys in region $1 while people live there"
  tell "noted for the raw scan: raw and wrapped keys of $n people in $1, the wrapped ones found there by it now"
}
json_hits() { sed -n 's/.*hits \([0-9]*\).*/\1/p' "$1" | tail -n 1; }

# How many of the ledger's entries are of a type.
ledger_count() { # REGION TYPE
  local from=0 size=1 sum=0 n
  while [ $from -lt "$size" ]; do
    domicile ledger show --from $from --limit 1000 --data "$1" --json >"$LOGS/entries" || fail "region $1 does not show its ledger"
    size=$(json_number size <"$LOGS/entries")
    n=$(grep -oE "\"type\": *\"$2\"" "$LOGS/entries" | wc -l)
    sum=$((sum + n)) from=$((from + 1000))
  done
  echo $sum
}

# A move of a country ends with a new KEK and a new index key at the source: what was there of those who left
# is then unreadable for good. The ledger says so for each of them.
erased_at() { # REGION PEOPLE
  local region=$1 people=$2 left=50 erased purged
  until erased=$(ledger_count "$region" erased) && purged=$(ledger_count "$region" 'names purged') &&
    [ "$erased" -ge "$people" ] && [ "$purged" -ge "$people" ]; do
    [ $((left -= 1)) -gt 0 ] ||
      fail "the ledger of $region has $erased people erased and the names of $purged purged, not $people"
    sleep 0.2
  done
  ERASED="$ERASED, $erased in $region"
  tell "erased in $region: keys and names of $people people, each with an entry in its ledger"
}

# ---- evidence ------------------------------------------------------------------------------------------------------

# Receipts about some of those who moved, from every region that has any; they hold their openings.
receipts_fetch() {
  local region subject
  while read -r subject; do
    for region in "${REGIONS[@]}"; do
      domicile ledger receipt --subject "$subject" --tenant "$TENANT" --data "$region" \
        --out "$OUTSIDE/receipts/$region-$subject" 2>"$LOGS/receipt.err" ||
        grep -q 'no entry' "$LOGS/receipt.err" || fail "region $region gives no receipts: $(cat "$LOGS/receipt.err")"
    done
  done < <(awk -F'\t' '$2 == "IN" && $3 == "phones" && n++ % 24 == 0 {print $1}' "$SUBJECTS")
  for region in cn in; do
    ls "$OUTSIDE/receipts/$region"-* >/dev/null 2>&1 || fail "region $region gave no receipt at all"
  done
}

# Offline, by the program's verifier: nothing but files, and keys that were kept outside all along.
evidence_verify() {
  local region file receipts=0
  for region in "${REGIONS[@]}"; do
    domicile verify "$DATA/$region/ledger" --vkey "$OUTSIDE/vkeys/$region" --since "$OUTSIDE/checkpoints/$region" \
      >"$LOGS/verify-$region.out" 2>&1 || { quote <"$LOGS/verify-$region.out"; fail "the ledger of $region does not verify"; }
    tail -n 1 "$LOGS/verify-$region.out" | quote
    for file in "$OUTSIDE/receipts/$region"-*; do
      [ -e "$file" ] || continue
      domicile verify "$file" --vkey "$OUTSIDE/vkeys/$region" >"$LOGS/verify-receipt.out" 2>&1 ||
        { quote <"$LOGS/verify-receipt.out"; fail "the receipt $file does not verify"; }
      receipts=$((receipts + 1))
    done
  done
  tell 'one of the receipts, in its own words:'
  tail -n 3 "$LOGS/verify-receipt.out" | quote
  # The control: another region's key must not do.
  if domicile verify "$DATA/cn/ledger" --vkey "$OUTSIDE/vkeys/in" >"$LOGS/verify-control.out" 2>&1; then
    fail 'the ledger of cn verifies with the key of in'
  fi
  tell "4 ledgers and $receipts receipts verified, with keys and first checkpoints kept outside; a wrong key is refused"
  VERIFIED="4 ledgers and $receipts receipts, against keys kept outside"
}
