# The story, a function a step. Sourced by quickstart.

declare -A PEOPLE_OF=() OBJECTS_OF=() BYTES_OF=() # by country, from the plan
declare -A LIVING=()                              # "WHEN REGION" -> Indians at home there
declare -A MET=([copying]=0 [held]=0 [forwarded]=0 [home]=0)
JOURNALS=() STARTS=0 ACKNOWLEDGED=0 MOVE_HELD_P99=0 ERASED='' CHECKED='' VERIFIED=''

# ---- 1 ------------------------------------------------------------------------------------------------

story_regions() {
  local region n
  step 1 'Four regions come up: Beijing (cn), Singapore (sg), the US (us), India (in)'
  keys_make
  for n in 1 2 3; do charter_make $n; done
  tell 'keys are made and three charters are signed by an offline key; none of the keys lies in a region'
  for region in "${REGIONS[@]}"; do config_make "$region"; done
  regions_start "${REGIONS[@]}"
  charter_everywhere 1
  tell "charter 1 (2014: India's customers live in Beijing) is in force in all four:"
  for region in "${REGIONS[@]}"; do
    domicile ledger checkpoint --data "$region" --out "$OUTSIDE/checkpoints/$region" ||
      fail "region $region gives no checkpoint"
    tell "  $region  $(url_of "$region")  process ${CHILDREN[$region]}"
  done
  tell "an auditor keeps each ledger's first checkpoint and key, outside the regions"
}

# ---- 2 ------------------------------------------------------------------------------------------------

story_load() {
  step 2 "People of five countries keep their phones' data at home"
  plan_make
  tell "$PLAN_PEOPLE people of $PLAN_COUNTRIES countries, $(thousands "$PLAN_OBJECTS") objects, $(megabytes "$PLAN_BYTES"): photos, contacts,"
  tell "messages and notes made of $(thousands "$PLAN_FILES") files of this machine, $PLAN_PICTURES of them pictures"
  tell "$PLAN_HEAVY people with 500 objects and more, one object of $(megabytes "$PLAN_LARGEST") in parts, one empty, odd names"
  JOURNALS+=(--journal "$OUTSIDE/originals/load.tsv")
  buckets_make
  load_run load "$PLAN_OBJECTS" "$OUTSIDE/originals/load.tsv" load --plan "$PLAN" \
    --journal "$OUTSIDE/originals/load.tsv" --endpoint "IN=$(url_of cn)" --endpoint "CN=$(url_of cn)" \
    --endpoint "US=$(url_of us)" --endpoint "$(url_of sg)" || fail 'loading did not succeed'
  tell "$(tail -n 1 "$LOGS/load.out")"
  living_count charter1
  tell "Indians at home: $(living_say charter1)"
  [ "${LIVING[charter1 cn]}" = "${PEOPLE_OF[IN]}" ] || fail 'not all Indians are at home in cn'
  sample_read
}

# Reads some objects back with curl, whose signatures are its own, and compares with the files themselves.
sample_read() {
  local subject country bucket key source sha body=$OUTSIDE/control/sample count=0 status want
  while IFS=$'\t' read -r subject country bucket key source _ sha; do
    status=$(curl_status "$body" "$(url_of "$(home_of "$country")")/$bucket/$key")
    [ "$status" = 200 ] || fail "curl got $status for an object of ${subject:0:6}... ($country)"
    case $source in
      file:*) want=$(sha256sum <"$(printf '%b' "${source#file:}")") ;;
      *) want=$sha ;;
    esac
    [ "$(sha256sum <"$body" | cut -d' ' -f1)" = "${want%% *}" ] || fail "curl got other bytes for $key"
    count=$((count + 1))
  done < <(awk -F'\t' '!/^#/ && (NR < 16 || $6 > 60000000 || NR % 97 == 0)' "$PLAN")
  rm -f "$body"
  tell "$count of them read back with curl --aws-sigv4: the same by sha256sum"
}

home_of() { # COUNTRY: where charter 1 has its people
  case $1 in IN | CN) echo cn ;; US) echo us ;; *) echo sg ;; esac
}

# ---- 3 ------------------------------------------------------------------------------------------------

story_leave_beijing() {
  step 3 'Charter 2: India'\''s customers leave Beijing, half for Singapore, half for the US'
  keys_note cn
  charter_everywhere 2
  tell 'charter 2 is in force in all four regions: cn is closed to Indians, sg and us are open'
  writer_start writer-cn cn 120 photos notes
  writer_settle writer-cn
  move_country cn 'sg=50%,us=50%' writer-cn
  writer_linger writer-cn
  writer_end writer-cn
  writer_add writer-cn
  living_count charter2
  tell "Indians at home: $(living_say charter2)"
  [ "${LIVING[charter2 cn]}" = 0 ] || fail 'some Indians are still at home in cn'
  erased_at cn "${PEOPLE_OF[IN]}"
  show_forwarded
  show_refused
}

# One of the people who moved, her photo and her contacts, through the region that she left.
show_forwarded() {
  local subject url head=$OUTSIDE/control/head
  subject=$(awk -F'\t' '$2 == "IN" && $3 == "phones" {print $1; exit}' "$SUBJECTS")
  url=$(url_of cn)/phones/$subject/photos/shown-at-the-old-gateway.txt
  tell 'a photo of one of them, PUT at cn, where she no longer lives:'
  curl_signed -o /dev/null -D "$head" -X PUT --data-binary 'forwarded' "$url"
  grep -iE '^(HTTP|x-domicile-met)' "$head" | tr -d '\r' | quote
  grep -qi '^x-domicile-met: forwarded' "$head" || fail 'the write was not forwarded'
  curl_signed -o /dev/null -X DELETE "$url"
  printf 'name shown\t%s\n' "$(printf 'shown-at-the-old-gateway' | od -An -v -tx1 | tr -d ' \n')" >"$OUTSIDE/needles/shown"
}
show_refused() {
  local subject status body=$OUTSIDE/control/refusal
  subject=$(awk -F'\t' '$2 == "IN" && $3 == "phones" {print $1; exit}' "$SUBJECTS")
  tell 'a contact of hers, PUT at cn: the charter lets it pass through no other country'
  status=$(curl_status "$body" -X PUT --data-binary 'refused' "$(url_of cn)/phones/$subject/contacts/refused.vcf")
  { echo "HTTP status $status"; cat "$body"; echo; } | quote
  [ "$status" = 451 ] && grep -q ResidencyViolation "$body" && grep -q 'rules.IN.restricted' "$body" ||
    fail 'the write was not refused with its clause'
}

# ---- 4 ------------------------------------------------------------------------------------------------

story_go_home() {
  local region
  step 4 'Charter 3: all of them move on, to India'
  keys_note sg
  keys_note us
  charter_everywhere 3
  tell 'charter 3 is in force in all four regions: India alone'
  writer_start writer-cn-again cn 60 photos
  writer_start writer-sg sg 60 notes
  writer_settle writer-cn-again
  writer_settle writer-sg
  move_country sg in writer-cn-again writer-sg
  move_country us in writer-cn-again writer-sg
  writer_linger writer-cn-again
  writer_linger writer-sg
  for region in cn-again sg; do
    writer_end "writer-$region"
    writer_add "writer-$region"
  done
  living_count charter3
  tell "Indians at home: $(living_say charter3)"
  [ "${LIVING[charter3 in]}" = "${PEOPLE_OF[IN]}" ] || fail 'not all Indians are at home in in'
  erased_at sg "${LIVING[charter2 sg]}"
  erased_at us "${LIVING[charter2 us]}"
  for region in copying held forwarded; do
    [ "${MET[$region]}" -gt 0 ] || fail "no write was met in the state: $region"
  done
}
