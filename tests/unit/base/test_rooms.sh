#!/bin/bash
# tools/check-rooms.sh passes a clean tree and names each planted violation.
#   usage: test_rooms.sh CHECKER
set -u
checker=$1
tree=$(mktemp -d "${TMPDIR:-/tmp}/domicile-rooms-XXXXXX") || exit 1
trap 'rm -rf "$tree"' EXIT
failed=0

clean_tree() {
  rm -rf "$tree/src" "$tree/tools"
  mkdir -p "$tree/src/base" "$tree/src/store/local" "$tree/src/move" "$tree/tools"
  printf '# comment\nbase:\nstore: base\nmove: base store\n' >"$tree/tools/rooms.txt"
  printf '#include "base/err.h"\n' >"$tree/src/base/bytes.h"
  printf '#include <stdio.h>\n#include "base/bytes.h"\n#include "store/local/log.h"\n' >"$tree/src/store/local/log.c"
  printf '#include "store/store.h"\n#include "move/move.h"\n#include "domicile/verify.h"\n' >"$tree/src/move/move.c"
}

# expect STATUS TEXT NAME: runs the checker; TEXT must be in what it prints ("" for nothing at all).
expect() {
  local out status
  out=$("$checker" "$tree" 2>&1)
  status=$?
  if [ "$status" != "$1" ] || { [ -n "$2" ] && [[ $out != *"$2"* ]]; } || { [ -z "$2" ] && [ -n "$out" ]; }; then
    echo "not ok: $3 (exit $status)"
    echo "$out"
    failed=1
  else
    echo "ok: $3"
  fi
}

clean_tree
expect 0 "" "a clean tree passes"

echo '#include "move/move.h"' >>"$tree/src/store/local/log.c"
expect 1 "src/store/local/log.c:4: store may not include move" "an arrow the table forbids"
expect 1 "include each other (src/move/move.c:1)" "two rooms that include each other"

clean_tree
echo ' #  include "store/local/log.h"' >>"$tree/src/move/move.c"
expect 1 'src/move/move.c:4: of store only "store/store.h"' "more than a facade, blanks around #"

clean_tree
echo '#include "store/store.h"' >>"$tree/src/base/bytes.h"
expect 1 "src/base/bytes.h:2: base may not include store" "base includes nothing, in a header too"

clean_tree
echo '#include "base/disk_internal.h"' >>"$tree/src/move/move.c"
expect 1 "src/move/move.c:4:" "an inner header of base"

clean_tree
echo '#include "log.h"' >>"$tree/src/store/local/log.c"
expect 1 "src/store/local/log.c:4:" "a header without its room"

clean_tree
echo '#include "store/../move/x.h"' >>"$tree/src/store/local/log.c"
expect 1 "src/store/local/log.c:4:" "a relative path"

clean_tree
mkdir "$tree/src/attic"
echo '#include "base/err.h"' >"$tree/src/attic/a.cc"
expect 1 "src/attic/a.cc:1: room attic is not in" "a room the table does not know"

clean_tree
printf 'store: base move\nmove: base store\nbase:\n' >"$tree/tools/rooms.txt"
expect 1 "may include each other" "a table with arrows both ways"

clean_tree
printf 'base:\nstore: base cellar\nmove: base store\n' >"$tree/tools/rooms.txt"
expect 1 "tools/rooms.txt:2: unknown room cellar" "a table with an unknown room"

clean_tree
rm "$tree/tools/rooms.txt"
expect 2 "rooms.txt" "no table"

exit $failed
