# Unit tests under AddressSanitizer with UndefinedBehaviorSanitizer, and under ThreadSanitizer. Then kills of real
# processes under the former: a server that ends by itself fails the round. Not under the latter: Debian's RocksDB
# is not built for it, so memory that it hands from thread to thread looks like a race.
layer_begin sanitizers
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=0:suppressions=$ROOT/tools/tsan.supp:second_deadlock_stack=1
for kind in address,undefined thread; do
  dir=build/$(echo $kind | tr -d ,)
  # Warnings are judged in the plain builds: instrumentation makes gcc see truncations that are none.
  if configure "$dir" -Db_sanitize=$kind -Db_lundef=false -Dwerror=false && ninja -C "$dir" >"build/check/$kind.log" 2>&1; then
    tally "unit-$kind" "$dir" --suite unit
  else
    tail -n 40 "build/check/$kind.log"
    bad "build with $kind"
  fi
done
step "3 rounds of kills under addressundefined" \
  python3 -B tests/crash/kill_rounds.py --build build/addressundefined --rounds 3
step "kills in handoffs under addressundefined" python3 -B tests/crash/handoff_kills.py \
  --build build/addressundefined --handoffs build/addressundefined/tests/crash/handoffs
layer_end
