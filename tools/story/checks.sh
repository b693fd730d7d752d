# Steps 5 and 6: what is checked at the end, and the table. Sourced by quickstart.

story_check() {
  step 5 'The checks: nothing lost, nothing left behind, all of it on record'
  check_everything
  receipts_fetch
  person_show
  check_without_india
  regions_end "${REGIONS[@]}"
  tell 'all four regions are stopped now; what follows looks at their folders alone'
  check_folders
  evidence_verify
}

# One of those who moved, asked for in Beijing.
person_show() {
  local subject
  subject=$(awk -F'\t' '$2 == "IN" && $3 == "phones" {print $1; exit}' "$SUBJECTS")
  tell "where one of them lives, asked at cn (domicile subject show):"
  domicile subject show "$subject" --tenant "$TENANT" --data cn >"$LOGS/subject.out" || fail 'subject show failed'
  quote <"$LOGS/subject.out"
  grep -q '^home  *in,' "$LOGS/subject.out" || fail 'subject show does not say that she lives in India'
}

# Every acknowledged write, read through every gateway; what charter 3 refuses there must be refused.
check_everything() {
  local region country home arguments=()
  for region in "${REGIONS[@]}"; do arguments+=(--endpoint "$region=$(url_of "$region")"); done
  for country in IN:in CN:cn US:us SG:sg DE:sg; do
    home=${country#*:} country=${country%:*}
    for region in contacts sms device; do arguments+=(--expect-451 "!$home:$country:*/$region/**"); done
  done
  tell 'reading every object and listing everybody through each of the four gateways...'
  child_run check "$LOGS/check.out" "$LOADER" check "${JOURNALS[@]}" "${arguments[@]}" || {
    quote <"$LOGS/check.out"
    quote <"$LOGS/check.out.err"
    fail 'what the gateways serve is not what was acknowledged'
  }
  tell "$(tail -n 1 "$LOGS/check.out")"
  CHECKED="$(thousands "$(checked identical)") times identical, $(thousands "$(checked 'as deleted')") times rightly gone, through every region"
}

checked() { sed -n "s/.*$1 \([0-9]*\).*/\1/p" "$LOGS/check.out" | tail -n 1; }

# With India's region stopped, what any other region can still give out would lie there.
check_without_india() {
  local region key status body=$OUTSIDE/control/answer asked=0
  regions_end in
  tell 'region in is stopped for a moment: whatever cn, sg or us can still hand out would lie there'
  while IFS= read -r key; do
    for region in cn sg us; do
      status=$(curl_status "$body" "$(url_of "$region")/$key")
      case $status in
        451 | 503) asked=$((asked + 1)) ;;
        *) fail "region $region answered $status for an Indian's object while region in was stopped" ;;
      esac
    done
  done < <(awk -F'\t' '!/^#/ && $2 == "IN" && n++ % 150 == 0 {print $3 "/" $4}' "$PLAN")
  tell "$asked reads of Indians' objects there: none gave a byte"
}

# ---- raw scan -------------------------------------------------------------------------------------------

scan_of() { # OUTPUT FOLDERS…: exit status of the scan with all needles
  local output=$1 file arguments=()
  shift
  for file in "$OUTSIDE"/needles/*; do arguments+=(--needles "$file"); done
  child_run scan "$output" "$LOADER" scan "${arguments[@]}" "$@"
}

check_folders() {
  local journal status=0 picture
  for journal in load writer-cn writer-cn-again writer-sg; do
    load needles --plan "$PLAN" --journal "$OUTSIDE/originals/$journal.tsv" --country IN \
      --out "$OUTSIDE/needles/$journal" >"$LOGS/needles.out" || fail 'the needles cannot be made'
  done
  sort -u "$OUTSIDE"/needles/* >"$OUTSIDE/control/needles"
  rm -f "$OUTSIDE"/needles/*
  mv "$OUTSIDE/control/needles" "$OUTSIDE/needles/all"
  tell "looking for $(thousands "$(wc -l <"$OUTSIDE/needles/all")") needles (names, ids, windows of contents, keys raw and wrapped) in the folders of cn, sg, us"
  scan_of "$LOGS/scan.out" "$DATA/cn" "$DATA/sg" "$DATA/us" || status=$?
  [ $status = 0 ] || { head -n 20 "$LOGS/scan.out" | quote; fail 'the raw scan found what must not be there'; }
  tell "$(tail -n 1 "$LOGS/scan.out")"
  scan_controls
}

# A scan that cannot find anything is no scan: it is shown one person's picture, name and key, planted elsewhere.
scan_controls() {
  local status=0 planted=$OUTSIDE/control/planted picture hex word
  mkdir -p "$planted"
  picture=$(awk -F'\t' '!/^#/ && $2 == "IN" && $5 ~ /^file:.*png$/ {sub(/^file:/, "", $5); print $5; exit}' "$PLAN")
  cat "$picture" >"$planted/picture"
  for word in raw wrapped name; do
    IFS=$'\t' read -r _ hex < <(grep -a "^$word" "$OUTSIDE/needles/all" | head -n 1)
    { printf 'before it '; printf '%b' "$(printf '%s' "$hex" | sed 's/../\\x&/g')"; } >"$planted/$word"
  done
  scan_of "$LOGS/scan-control.out" "$planted" || status=$?
  for word in picture raw wrapped name; do
    [ $status = 1 ] && grep -q "$planted/$word " "$LOGS/scan-control.out" ||
      fail "the raw scan does not find a $word that was planted for it"
  done
  tell 'control: a picture, a name and two keys planted elsewhere are all found by the same scan'
  rm -rf "$planted"
}

# ---- the table ----------------------------------------------------------------------------------------------

met_of() { thousands "${MET[$1]}"; }

story_table() {
  local country homes
  step 6 'In short'
  printf '\n   %-12s %7s %9s %9s   %-9s %-15s %s\n' country people objects data 'charter 1' 'charter 2' 'charter 3'
  for country in IN CN US SG DE; do
    homes=$(home_of "$country")
    case $country in
      IN) printf '   %-12s %7s %9s %9s   %-9s %-15s %s\n' "$country" "${PEOPLE_OF[$country]}" "$(thousands "${OBJECTS_OF[$country]}")" \
        "$(megabytes "${BYTES_OF[$country]}")" cn "sg ${LIVING[charter2 sg]}, us ${LIVING[charter2 us]}" in ;;
      *) printf '   %-12s %7s %9s %9s   %-9s %-15s %s\n' "$country" "${PEOPLE_OF[$country]}" "$(thousands "${OBJECTS_OF[$country]}")" \
        "$(megabytes "${BYTES_OF[$country]}")" "$homes" "$homes" "$homes" ;;
    esac
  done
  printf '\n'
  row 'people moved, twice' "${PEOPLE_OF[IN]}, from cn to sg and us, then on to in"
  row 'written meanwhile' "$(thousands "$ACKNOWLEDGED") operations acknowledged, through regions they had left"
  row '  before or after a move' "$(met_of home) at home"
  row '  while being copied' "$(met_of copying)"
  row '  held at the fence' "$(met_of held) (99 of 100 fences shorter than $MOVE_HELD_P99 ms)"
  row '  forwarded to the new home' "$(met_of forwarded)"
  row 'failures' '0'
  row 'read back' "${CHECKED:-}"
  row 'erased, with receipts' "${ERASED#, } (people's keys and names)"
  row 'found of them afterwards' 'nothing, in the folders of cn, sg and us'
  row 'ledgers and receipts' "$VERIFIED"
  row 'time' "$((SECONDS / 60)) min $((SECONDS % 60)) s"
  STEP_NAME=''
}
row() { printf '   %-28s %s\n' "$1" "$2"; }

# ---- afterwards -----------------------------------------------------------------------------------------------------

story_left() {
  say ''
  say "Everything is left in $DATA: the regions in cn, sg, us, in; keys, originals and logs in outside."
}

story_stay() {
  local subject
  subject=$(awk -F'\t' '$2 == "IN" && $3 == "phones" {print $1; exit}' "$SUBJECTS")
  regions_start "${REGIONS[@]}"
  say ''
  say 'The four regions are up again. In another terminal (apt-get install awscli):'
  cat <<TXT

  export AWS_ACCESS_KEY_ID=$ACCESS AWS_SECRET_ACCESS_KEY=$SECRET AWS_DEFAULT_REGION=us-east-1
  # one of the people who moved to India, through the region in Singapore
  aws --endpoint-url $(url_of sg) s3 ls s3://phones/$subject/photos/
  aws --endpoint-url $(url_of sg) s3 cp /etc/os-release s3://phones/$subject/notes/hello.txt
  # the charter lets her contacts be read in India only
  aws --endpoint-url $(url_of in) s3 ls s3://phones/$subject/contacts/
  aws --endpoint-url $(url_of cn) s3 ls s3://phones/$subject/contacts/

  cd $(printf %q "$DATA") && PATH=\$PATH:$(printf %q "$ROOT/build")
  domicile subject show $subject --tenant $TENANT --data in
  domicile ledger show --limit 20 --data cn
  domicile verify cn/ledger --vkey outside/vkeys/cn --since outside/checkpoints/cn

Ctrl-C ends the regions and leaves everything in $DATA.
TXT
  STEP_NAME='staying up'
  while :; do
    for region in "${REGIONS[@]}"; do
      child_alive "$region" || fail "region $region ended by itself: $(region_complaint "$region")"
    done
    sleep 1 &
    wait $! || true
  done
}
