# Keys, charters and settings of the four regions. Everything secret lies below DATA/outside/keys, beside
# the regions' folders and never in them. Sourced by quickstart.

DOMAIN=example-phones.example
DEPLOYMENT=story
TENANT=phones-maker
NUMBER=(1 2 3 4)       # regions' numbers, as in deploy/charters

random_hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

keys_make() {
  local region keys=$OUTSIDE/keys
  domicile key generate "$keys/route.key" >/dev/null || fail 'the route key cannot be made'
  ACCESS=STORY$(random_hex 6 | tr a-f A-F) SECRET=$(random_hex 20)
  export DOMICILE_LOAD_KEY=$ACCESS:$SECRET
  OPERATOR=OPER$(random_hex 6 | tr a-f A-F):$(random_hex 20)
  (umask 077
    printf '%s:%s:%s\n' "$ACCESS" "$SECRET" "$TENANT" >"$keys/accounts"
    printf '%s\n' "$OPERATOR" >"$keys/operators")
  for region in "${REGIONS[@]}"; do
    (umask 077 && mkdir -p "$keys/$region/kek")
    key_make "$keys/$region/region.seed" "$DOMAIN/$DEPLOYMENT/$region" "$OUTSIDE/vkeys/$region" ||
      fail "the key of region $region cannot be made"
  done
  charter_key_make "$keys/charter" || fail 'the key of the charters cannot be made'
}

# Charter N from its template in deploy/charters, with this run's endpoints and verifier keys, signed.
charter_make() { # N
  local n=$1 template out region
  template=$(echo "$ROOT/deploy/charters/$n"-*.yaml)
  out=$OUTSIDE/charters/$n.yaml
  cp "$template" "$out"
  for region in "${REGIONS[@]}"; do
    sed -i -E "/^  $region: \\{number:/ {
      s|endpoint: \"[^\"]*\"|endpoint: \"$(url_of "$region")\"|
      s|vkey: \"[^\"]*\"|vkey: \"$(cat "$OUTSIDE/vkeys/$region")\"|
    }" "$out"
  done
  charter_sign "$out" || fail "charter $n cannot be signed"
}

config_make() { # REGION: the settings of its daemon
  local region=$1 keys=$OUTSIDE/keys
  cat >"$keys/$region/domicile.yaml" <<YAML
data: "$DATA/$region"
kek_folder: "$keys/$region/kek"
deployment: $DEPLOYMENT
domain: $DOMAIN
route_key_file: "$keys/route.key"
accounts_file: "$keys/accounts"
operators_file: "$keys/operators"
region: {name: $region, number: $(number_of "$region"), seed_file: "$keys/$region/region.seed"}
charter:
  file: "$OUTSIDE/charters/1.yaml"
  signature_file: "$OUTSIDE/charters/1.yaml.sig"
  public_key_file: "$keys/charter.pub"
listen: ["127.0.0.1:$(port_of "$region")"]
YAML
}

number_of() { # REGION
  local i
  for i in 0 1 2 3; do
    if [ "${REGIONS[i]}" = "$1" ]; then echo "${NUMBER[i]}"; fi
  done
}
