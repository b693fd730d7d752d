# shellcheck shell=bash
# The story that ./quickstart tells, on ports and in a folder of its own.
layer_begin "the story"
story_data=$(mktemp -d "${TMPDIR:-/tmp}/domicile-story-XXXXXX")
story_port=$((20000 + RANDOM % 3000 * 4)) # below the ports that the system gives out
step "quickstart refuses and cleans up" tools/story/check_refusals.sh $((story_port + 4))
step "quickstart --once" ./quickstart --once --data "$story_data" --port-base $story_port
grep -E 'acknowledged while|reads|verified,|^ +time ' "build/check/quickstart_--once.log" || true
rm -rf "$story_data"
layer_end
