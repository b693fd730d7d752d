#!/bin/bash
# Checks every #include "ROOM/…" below src/ against the table of rooms.
#   usage: tools/check-rooms.sh [TREE]     (TREE holds src/ and tools/rooms.txt; default: this clone)
# Rules: a room includes only rooms that tools/rooms.txt allows it (and itself); of another room only
# its facade ROOM/ROOM.h (base: any header that is not *_internal.h); never two rooms each other, not
# even in the table. Prints FILE:LINE of what breaks a rule; exits 1 when there is any, 2 on misuse.
set -u
export LC_ALL=C
tree=${1:-$(cd "$(dirname "$0")/.." && pwd)}
table=$tree/tools/rooms.txt
if [ ! -r "$table" ] || [ ! -d "$tree/src" ]; then
  echo "check-rooms: $tree has no src/ or no tools/rooms.txt" >&2
  exit 2
fi
cd "$tree" || exit 2

# One line an include: FILE:LINE:#include "…". Blanks around # are legal C, so they are accepted here.
includes=$(grep -rnE --include='*.[ch]' --include='*.cc' --include='*.def' \
  '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' src | sort -t: -k1,1 -k2,2n)

printf '%s\n' "$includes" | awk -v table=tools/rooms.txt '
function complain(place, text) {
  print place ": " text
  bad++
}
function read_table(   line, number, room, i, count, words) {
  while ((getline line < table) > 0) {
    number++
    sub(/#.*/, "", line)
    if (line ~ /^[ \t]*$/) continue
    if (line !~ /^[a-z0-9]+:/) { complain(table ":" number, "not of the form ROOM: ROOMS"); continue }
    room = line
    sub(/:.*/, "", room)
    sub(/^[^:]*:/, "", line)
    if (room in known) complain(table ":" number, "room " room " appears twice")
    known[room] = number
    count = split(line, words, /[ \t]+/)
    for (i = 1; i <= count; i++) if (words[i] != "") may[room, words[i]] = number
  }
}
function check_table(   pair, ends) {
  for (pair in may) {
    split(pair, ends, SUBSEP)
    if (!(ends[2] in known)) complain(table ":" may[pair], "unknown room " ends[2])
    if ((ends[2], ends[1]) in may && ends[1] <= ends[2])
      complain(table ":" may[pair], ends[1] " and " ends[2] " may include each other")
  }
}
BEGIN {
  read_table()
  check_table()
}
$0 != "" {
  file = $0; sub(/:.*/, "", file)
  rest = substr($0, length(file) + 2)
  line = rest; sub(/:.*/, "", line)
  header = substr(rest, length(line) + 2)
  sub(/^[^"]*"/, "", header)
  sub(/".*/, "", header)
  place = file ":" line
  split(file, path, "/")
  from = path[2]
  if (!(from in known)) { complain(place, "room " from " is not in " table); next }
  if (index(header, "/") == 0) { complain(place, "\"" header "\" names no room: write \"ROOM/" header "\""); next }
  if (header ~ /(^|\/)\.\.?\//) { complain(place, "\"" header "\" is a relative path"); next }
  to = header; sub(/\/.*/, "", to)
  if (to == "domicile") next   # the public headers below include/
  if (to == from) next
  if (!(to in known)) { complain(place, "\"" header "\" is of no known room"); next }
  if (!((from, to) in may)) complain(place, from " may not include " to)
  if ((to, from) in used) complain(place, from " and " to " include each other (" used[to, from] ")")
  if (!((from, to) in used)) used[from, to] = place
  if (to == "base" && header ~ /_internal\.h$/) complain(place, "\"" header "\" is inside of base")
  if (to != "base" && header != to "/" to ".h")
    complain(place, "of " to " only \"" to "/" to ".h\" may be included, not \"" header "\"")
}
END {
  if (bad) print "check-rooms: " bad " broken rule" (bad == 1 ? "" : "s")
  exit bad ? 1 : 0
}'
