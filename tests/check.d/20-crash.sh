# Power cuts on simulated disks, planted bugs, and kill -9 of real processes.
layer_begin "crash and power"
tally crash build --suite crash
rounds=20
[ $level = long ] && rounds=200
step "$rounds rounds of kills under 16 writers" python3 -B tests/crash/kill_rounds.py --build build --rounds $rounds
layer_end

layer_begin simulator
power=200 seeds=3000
[ $level = long ] && power=5000 seeds=30000
step "domicile-sim: whole regions, $seeds seeds" build/domicile-sim --mode move --seeds $seeds
step "domicile-sim: power cuts, $power seeds" build/domicile-sim --mode power --seeds $power
layer_end

layer_begin "handoffs over processes"
step "a kill at each step of a handoff" python3 -B tests/crash/handoff_kills.py --build build \
  --handoffs build/tests/crash/handoffs
step "raw scan" python3 -B tests/crash/raw_scan.py --build build --program domicile --expect clean
step "raw scan after persons were erased" python3 -B tests/crash/raw_scan.py --build build --program domicile \
  --expect clean --forget
step "raw scan with encryption off" python3 -B tests/crash/raw_scan.py --build build \
  --program tests/crash/planted/domicile-encryption-off --no-keys --expect found --needle body
step "raw scan with shredding off" python3 -B tests/crash/raw_scan.py --build build \
  --program tests/crash/planted/domicile-shredding-off --expect found --needle "wrapped key of"
layer_end
