# shellcheck shell=bash
# A country moves while regions are killed and links are cut.
layer_begin chaos
step "chaos: the judge of histories, links, plan" env PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest \
  -p no:cacheprovider -q tests/chaos
step "chaos: a short run" python3 -B tests/chaos/run.py --build build --minutes 0.75 --subjects 100
if [ $level = long ]; then
  step "chaos: 20 minutes" python3 -B tests/chaos/run.py --build build --minutes 20 --subjects 5000 \
    --objects-per-subject 10 --clients 32
  step "chaos: planted bugs" python3 -B tests/chaos/planted.py --build build
else
  left_out+=("chaos of 20 minutes, and its planted bugs")
fi
layer_end
