# Sourced by quickstart and check: makes sure that Debian packages are there.
#   need PURPOSE…   lists what is missing by dpkg-query; nothing missing: touches neither apt nor the network.
# Otherwise: as root by apt-get, else by sudo, else it prints the exact line and exits 3. No service that a
# package brings is started.

need_missing() {
  local purpose package
  for purpose in "$@"; do
    for package in $(sed -n "s/^$purpose: *//p" "$ROOT/tools/packages.txt"); do
      [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null | cut -c1-2)" = ii ] || echo "$package"
    done
  done | sort -u
}

need_install() {
  local as=$1 policy=/usr/sbin/policy-rc.d planted=0
  shift
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as tee "$policy" >/dev/null && $as chmod 755 "$policy" && planted=1
  fi
  $as apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null || echo "apt-get update failed; trying what is known" >&2
  local status=0
  $as env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confold install --no-install-recommends "$@" >/dev/null || status=$?
  [ $planted = 0 ] || $as rm -f "$policy"
  return $status
}

need() {
  local missing as=''
  missing=$(need_missing "$@" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  echo "missing packages: $missing"
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null; then as=sudo; else
      echo "install them as root, then start again:" >&2
      echo "  apt-get install --no-install-recommends $missing" >&2
      exit 3
    fi
  fi
  echo "installing them with apt-get"
  # shellcheck disable=SC2086 # words are wanted
  need_install "$as" $missing || {
    echo "apt-get could not install: $missing" >&2
    echo "is the network there, and a Debian 12 package source?" >&2
    exit 3
  }
}
