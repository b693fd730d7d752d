# The bench works: its tables, and every cell once with tiny counts (without radosgw, which takes 100 MB of packages).
layer_begin bench
need bench
step "bench tables" env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -p no:cacheprovider -q tests/bench
step "bench/s3 --smoke" bench/s3 --smoke --skip radosgw --out build/check/bench
step "bench/move --smoke" bench/move --smoke --out build/check/bench-move
step "bench/foreground --smoke" bench/foreground --smoke --out build/check/bench-foreground
if [ $level = long ]; then
  step "bench/s3" bench/s3 --rounds 1 --fresh
else
  left_out+=("the bench with its figures")
fi
layer_end
# shellcheck shell=bash
