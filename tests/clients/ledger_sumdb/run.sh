#!/bin/sh
# Usage: run.sh SAMPLE. Lets SAMPLE (built from tests/unit/ledger/sample.c) write a ledger with
# receipts, and checks them with Go's sumdb/note and tlog. Offline. Exit 77: Go is not here.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
go=/usr/lib/go-1.19/bin/go
[ -x "$go" ] || go=$(command -v go || true)
if [ -z "$go" ] || [ ! -d /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog ]; then
  echo "skipped: needs golang-1.19-go and golang-golang-x-mod-dev"
  exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/ledger-sumdb-XXXXXX")
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT INT TERM
"$1" "$work/data"
mkdir -p "$work/gopath/src/ledger_sumdb" "$work/home"
cp "$here/main.go" "$work/gopath/src/ledger_sumdb/"
env HOME="$work/home" GO111MODULE=off GOFLAGS= GOCACHE="$work/cache" GOPATH="$work/gopath:/usr/share/gocode" \
  "$go" build -o "$work/ledger_sumdb" ledger_sumdb
"$work/ledger_sumdb" "$work/data"
# It can fail: one bit of a tile, and it must say so.
printf 'X' | dd of="$work/data/ledger/tile/0/000" bs=1 seek=100 conv=notrunc status=none
if "$work/ledger_sumdb" "$work/data" 2>/dev/null; then
  echo "a damaged tile passed" >&2
  exit 1
fi
