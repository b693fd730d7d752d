# Unit tests and kills of real processes under AddressSanitizer with UndefinedBehaviorSanitizer, and under
# ThreadSanitizer. A server that a sanitizer ends by itself fails the round.
layer_begin sanitizers
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=0:suppressions=$ROOT/tools/tsan.supp:second_deadlock_stack=1
for kind in address,undefined thread; do
  dir=build/$(echo $kind | tr -d ,)
  # Warnings are judged in the plain builds: instrumentation makes gcc see truncations that are none.
  if configure "$dir" -Db_sanitize=$kind -Db_lundef=false -Dwerror=false && ninja -C "$dir" >"build/check/$kind.log" 2>&1; then
    tally "unit-$kind" "$dir" --suite unit
    TSAN_OPTIONS=$TSAN_OPTIONS:halt_on_error=1 step "3 rounds of kills under $kind" \
      python3 -B tests/crash/kill_rounds.py --build "$dir" --rounds 3
    TSAN_OPTIONS=$TSAN_OPTIONS:halt_on_error=1 step "kills in handoffs under $kind" \
      python3 -B tests/crash/handoff_kills.py --build "$dir" --handoffs "$dir/tests/crash/handoffs"
  else
    tail -n 40 "build/check/$kind.log"
    bad "build with $kind"
  fi
done
layer_end
