# shellcheck shell=bash
# The handoff's model: every state within the bounds, and planted wrong steps that must be caught.
layer_begin "model"
model_log=build/check/model.log
if [ $level = long ]; then tests/model/run --long; else tests/model/run; fi >$model_log 2>&1
model_exit=$?
while read -r verdict line; do
  case $verdict in
    ok) ok; echo "  ok   $line" ;;
    *) bad "model: $verdict $line" ;;
  esac
done <$model_log
[ $model_exit -le 1 ] || bad "model could not run"
layer_end
