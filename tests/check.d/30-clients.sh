# Real clients against real daemons: awscli, s3cmd, rclone, boto3 and curl, and four regions with a moved subject.
need clients
command -v npm >/dev/null || need npm # other packages of Node bring npm with them, and conflict with Debian's
layer_begin clients
DOMICILE_BIN="$ROOT/build/domicile" PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -p no:cacheprovider -q -rfEs \
  --tb=short --durations=10 tests/clients >build/check/clients.log 2>&1
clients_status=$?
clients_counted() { tail -n 1 build/check/clients.log | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0; }
clients_bad=$(($(clients_counted failed) + $(clients_counted error)))
[ $clients_status = 0 ] || [ $clients_bad -gt 0 ] || clients_bad=1 # it ended without a summary
passed=$((passed + $(clients_counted passed)))
failed=$((failed + clients_bad))
if [ $clients_bad -gt 0 ]; then
  grep -E '^(FAILED|ERROR) ' build/check/clients.log | sed 's/^/FAILED: /'
  tail -n 150 build/check/clients.log
fi
grep -E '^SKIPPED' build/check/clients.log
layer_end
