# Signed zones and a validating resolver, for tests.

# zone_sign ZONE FILE [EXPIRY]: FILE.signed, and its key among the anchors
# ($T/anchors)
zone_sign() {
  local key
  key=$(cd "$T" && ldns-keygen -a ECDSAP256SHA256 -k "$1") || return 1
  (cd "$T" && ldns-signzone ${3:+-i 20200101 -e "$3"} -f "$2.signed" "$2" "$key") || return 1
  grep -h DNSKEY "$T/$key.key" >> "$T/anchors"
}

# resolver_serve PORT NSDPORT ZONE...: Unbound, which asks that NSD for the
# zones and believes $T/anchors
resolver_serve() {
  local port=$1 nsd=$2 z; shift 2
  {
    printf 'server:\n interface: 127.0.0.1@%s\n username: ""\n chroot: ""\n directory: "%s"\n' "$port" "$T"
    printf ' pidfile: "%s/unbound.pid"\n use-syslog: no\n do-not-query-localhost: no\n do-ip6: no\n' "$T"
    printf ' module-config: "validator iterator"\n trust-anchor-file: "%s/anchors"\n' "$T"
    printf ' access-control: 127.0.0.0/8 allow\n num-threads: 1\n local-zone: "test." nodefault\n'
    printf 'remote-control:\n control-enable: no\n'
    for z; do printf 'stub-zone:\n name: "%s"\n stub-addr: 127.0.0.1@%s\n' "$z" "$nsd"; done
  } > "$T/unbound.$port.conf"
  spawn unbound -d -c "$T/unbound.$port.conf"
  wait_port "$port"
}
