# The four daemons and what is asked of them through the program's own command line. The story runs with
# DATA as working folder and names folders below it, so that a long DATA never makes a socket's path too
# long. Sourced by quickstart.

START_S_MAX=60

domicile() { command "$DOMICILE" "$@" 9>&-; }

region_start() { # REGION
  child_start "$1" "$LOGS/$1.out" "$LOGS/$1.$((++STARTS)).log" \
    "$DOMICILE" serve --config "$OUTSIDE/keys/$1/domicile.yaml" --data "$1"
}

# What a region last logged as an error, in its own words.
region_complaint() { # REGION
  tail -qn 3 "$LOGS/$1".*.log 2>/dev/null | tail -n 3
}

region_wait() { # REGION: until it answers
  local region=$1 left=$((START_S_MAX * 10)) port
  port=$(port_of "$region")
  until to_self -o /dev/null "$(url_of "$region")/-/healthz"; do
    child_alive "$region" || fail "region $region ended at its start (port $port; another one by --port-base): $(region_complaint "$region")"
    [ $((left -= 1)) -gt 0 ] || fail "region $region does not answer on port $port after $START_S_MAX s"
    sleep 0.1
  done
}

regions_start() {
  local region
  for region in "$@"; do region_start "$region"; done
  for region in "$@"; do region_wait "$region"; done
}

regions_end() {
  local region
  for region in "$@"; do
    if child_alive "$region"; then kill -TERM "${CHILDREN[$region]}"; fi
  done
  for region in "$@"; do child_end "$region"; done
}

# ---- curl: to this machine only, no proxy, no settings of the user -----------------------------

to_self() { curl -q -sS -f --noproxy '*' --max-time 120 "$@" 2>/dev/null; }

# A request signed by curl itself, which knows nothing of this project.
curl_signed() { # CURL ARGUMENTS…
  printf 'user = "%s:%s"\n' "$ACCESS" "$SECRET" |
    curl -q -sS --noproxy '*' --max-time 120 --path-as-is --aws-sigv4 aws:amz:us-east-1:s3 \
      -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -K - "$@"
}
# Prints the status of a signed request and keeps its body in a file.
curl_status() { # BODY_FILE CURL ARGUMENTS…
  local body=$1 status
  shift
  status=$(curl_signed -o "$body" -w '%{http_code}' "$@") || status=000
  echo "$status"
}

