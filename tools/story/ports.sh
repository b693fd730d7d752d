# The story's four ports. Sourced by quickstart.

REGIONS=(cn sg us in)

port_of() { # REGION
  local i
  for i in 0 1 2 3; do
    if [ "${REGIONS[i]}" = "$1" ]; then echo $((PORT_BASE + i)); fi
  done
}
url_of() { echo "http://127.0.0.1:$(port_of "$1")"; }

port_is_busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ports_check() {
  local region port
  for region in "${REGIONS[@]}"; do
    port=$(port_of "$region")
    if port_is_busy "$port"; then
      cannot "port $port on 127.0.0.1 is busy (it is for region $region): choose others with --port-base N (N to N+3 are used)"
    fi
  done
}
