# shellcheck shell=bash
# Each fuzz target over its seeds and what grows out of them: by count, so that every run is the same. --long: ten minutes each.
layer_begin "fuzz targets"
if ! tests/fuzz/run --runs 1 head >build/check/fuzz-build.log 2>&1; then
  cat build/check/fuzz-build.log
  bad "build of the fuzz targets"
fi
for target in $(tests/fuzz/run --list); do
  if [ "$level" = long ]; then
    step "fuzz $target, 10 minutes" tests/fuzz/run "$target" 600
  else
    step "fuzz $target, 20000 runs" tests/fuzz/run --runs 20000 "$target"
  fi
done
[ "$level" = long ] || left_out+=("fuzz targets for 10 minutes each")
layer_end
