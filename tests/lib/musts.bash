# One small internet for tables of what RFCs say a sending MTA MUST do: hosts of
# each kind at loopback addresses of their own and one port, in signed zones and
# an unsigned one, with MTA-STS policies; a row says what is sent and what has
# to come of it.
#
# Hosts: KIND.example (no TLSA records), d-KIND (its key), w-KIND (a wrong
# one), u-KIND (none that SMTP can use), t-KIND (its authority, 2 0 1); and
# KIND.plain.test.  Domains: to-HOST.example; to-KIND.plain.test, and
# s-KIND.plain.test which has an MTA-STS record.  Others stand in $MUSTS_ZONE
# and $MUSTS_PLAIN, which a file may fill before musts_serve.
MUSTS_CAPS=PIPELINING,8BITMIME,SMTPUTF8,DSN,ENHANCEDSTATUSCODES
MUSTS_KINDS=(tls noreq plain other down later need expired old)

# must_kind KIND ADDRESS [OPTION...]: a server of that kind; none: nobody there
must_kind() {
  local kind=$1 addr=$2; shift 2
  MUSTS_ADDR[$kind]=$addr
  [ $# -gt 0 ] || return 0
  : > "$T/peer.$kind"
  spawn python3 "$ROOT/tests/lib/smtp_peer.py" "$PORT" --host "$addr" --log "$T/peer.$kind" "$@"
  local i
  for ((i = 0; i < 200; i++)); do
    (exec 3<> "/dev/tcp/$addr/$PORT") 2>/dev/null && return
    sleep 0.05
  done
  false
}

must_leaf() { # NAME DAYS ALTNAMES: by the authority; the chain in $T/NAME.crt
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/$1.key" -out "$T/$1.csr" -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$T/$1.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days "$2" \
    -extfile <(echo "subjectAltName=$3") -out "$T/$1.leaf" 2>/dev/null
  cat "$T/$1.leaf" "$T/ca.crt" > "$T/$1.crt"
}

musts_setup() {
  common_setup
  declare -gA MUSTS_ADDR
  local names='DNS:*.plain.test' k v
  for k in "${MUSTS_KINDS[@]}"; do for v in '' d- w- u- t-; do names+=,DNS:$v$k.example; done; done
  mapfile -t p < <(free_port 4); PORT=${p[0]} NSD=${p[1]} DNS=${p[2]} WEB=${p[3]}
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ca.key" \
    -out "$T/ca.crt" -days 30 -subj "/CN=ca" -addext basicConstraints=critical,CA:true 2>/dev/null
  must_leaf good 30 "$names"
  must_leaf wrongname 30 DNS:somebody.else.test
  must_leaf gone -1 "$names"
  make_cert self DNS:self.test
  local good=(--cert "$T/good.crt" --key "$T/good.key") req=--caps=$MUSTS_CAPS,REQUIRETLS plain=--caps=$MUSTS_CAPS
  chmod 644 "$T"/*.crt "$T"/*.key
  must_kind tls 127.0.0.11 "${good[@]}" "$req"
  must_kind noreq 127.0.0.12 "${good[@]}" "$plain"
  must_kind plain 127.0.0.13 "$req"
  must_kind other 127.0.0.14 --cert "$T/wrongname.crt" --key "$T/wrongname.key" "$req"
  must_kind down 127.0.0.15
  must_kind later 127.0.0.16 --mode 454-starttls "$plain"
  must_kind need 127.0.0.17 --mode 530-mail "$plain"
  must_kind expired 127.0.0.18 --cert "$T/gone.crt" --key "$T/gone.key" "$req"
  must_kind old 127.0.0.19 --caps=8BITMIME,ENHANCEDSTATUSCODES "${good[@]}"
  MUSTS_KEY=$(must_digest good)
  MUSTS_ZONE=$T/zone MUSTS_PLAIN=$T/zplain
  SOA='@ 60 IN SOA ns h 1 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 127.0.0.1'
  printf '$ORIGIN example.\n$TTL 60\n%s\n' "$SOA" > "$MUSTS_ZONE"
  printf '$ORIGIN plain.test.\n$TTL 60\n%s\n' "$SOA" > "$MUSTS_PLAIN"
  local ca zero
  ca=$(openssl x509 -in "$T/ca.crt" -outform DER | sha256sum | cut -d' ' -f1)
  zero=$(printf '%064d' 0)
  for k in "${MUSTS_KINDS[@]}"; do
    must_host "$k"
    must_host "d-$k" "3 1 1 $MUSTS_KEY"
    must_host "w-$k" "3 1 1 $zero"
    must_host "u-$k" "1 1 1 $zero"
    must_host "t-$k" "2 0 1 $ca"
    printf '%s 60 IN A %s\nto-%s 60 IN MX 10 %s\ns-%s 60 IN MX 10 %s\n_mta-sts.s-%s 60 IN TXT "v=STSv1; id=a1;"\nmta-sts.s-%s 60 IN A 127.0.0.1\n' \
      "$k" "${MUSTS_ADDR[$k]}" "$k" "$k" "$k" "$k" "$k" "$k" >> "$MUSTS_PLAIN"
  done
}

must_digest() { openssl x509 -in "$T/$1.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1; }

# must_host [PREFIX-]KIND [TLSA...]: it, and a domain whose MX it is, in the signed zone
must_host() {
  local host=$1 kind=${1##*-} r; shift
  printf '%s 60 IN A %s\nto-%s 60 IN MX 10 %s\n' "$host" "${MUSTS_ADDR[$kind]}" "$host" "$host" >> "$MUSTS_ZONE"
  for r; do printf '_%s._tcp.%s 60 IN TLSA %s\n' "$PORT" "$host" "$r" >> "$MUSTS_ZONE"; done
}
# must_mx DOMAIN HOST...: these in this order
must_mx() {
  local d=$1 n=10 h; shift
  for h; do printf '%s 60 IN MX %s %s\n' "$d" "$((n++))" "$h" >> "$MUSTS_ZONE"; done
}

# musts_serve [NSD-ZONE FILE...]: all of it is there; other zones' names last
musts_serve() {
  local k alt='' more=() z
  for k in "${MUSTS_KINDS[@]}" "${MUSTS_WEB[@]}"; do alt+=DNS:mta-sts.s-$k.plain.test,; done
  must_leaf web 30 "${alt}DNS:web.test"
  mkdir -p "$T/www/.well-known" "$T/data"; chmod 755 "$T/data"; chmod 644 "$T"/*.crt "$T"/*.key
  : >> "$T/anchors"
  zone_sign example "$MUSTS_ZONE"
  dns_serve "$NSD" example "$MUSTS_ZONE.signed" plain.test "$MUSTS_PLAIN" "$@"
  for ((z = 1; z < $#; z += 2)); do more+=("${!z}"); done
  resolver_serve "$DNS" "$NSD" example plain.test "${more[@]}"
  spawn python3 "$ROOT/tests/lib/https_server.py" "$WEB" "$T/web.crt" "$T/web.key" "$T/www"
  wait_port "$WEB"
  FILE_T=$T; export FILE_T PORT NSD DNS WEB FILE_PIDS="${PIDS[*]}"
}
musts_teardown() { read -ra PIDS <<< "$FILE_PIDS"; T=$FILE_T; BATS_TEST_COMPLETED=1; common_teardown; }

# must_send ADDRESS FIELD [OPTION...]: what it said in $output, its status in
# $status; FIELD: of the header, \n ends one
must_send() {
  local to=$1 field=$2; shift 2
  run send --resolver "127.0.0.1:$DNS" -o "smtp_tcp_port=$PORT" -o inet_interfaces=127.0.0.7 -o smtp_host_lookup=dns \
    -o "data_directory=$T/data" -o "mta_sts_port=$WEB" -o "smtp_tls_CAfile=$T/ca.crt" -o smtp_tls_security_level=dane \
    -o smtp_helo_timeout=5s -f me@sender.test --trace "$@" "$to" < <(printf "${field}Subject: x\n\nbody\n")
}

# must_row WHAT DOMAIN FIELD WANT [OPTION...]: WANT is "sent", "bounced CODE" or
# "deferred CODE", then behind semicolons: +REGEX (is in the trace), -REGEX (is
# not), @KIND:REGEX and !KIND:REGEX (of that server's own record), %REGEX (in
# the history for TLS reports).  Words of OPTION: sts=MODE[,MX...] is the policy of every domain
# (sts=text puts $T/sts there as it stands); null is the null sender; keep
# leaves the policies that were fetched before; redirect and html spoil the
# server of policies; ~ is a blank and ^ a semicolon; @T is $T.
must_row() {
  local what=$1 domain=$2 field=$3 want=$4 options=() o first bad='' parts; shift 4
  case " $* " in *" keep "*) ;; *) rm -rf "$T/data/mta-sts" ;; esac
  rm -rf "$T/www/.well-known/mta-sts.txt" "$T/www/redirect" "$T/www/html" "$T/history"
  for o in "$T"/peer.*; do : > "$o"; done
  for o; do
    case $o in
    sts=text) cp "$T/sts" "$T/www/.well-known/mta-sts.txt" ;;
    sts=*) o=${o#sts=}
      { printf 'version: STSv1\r\nmode: %s\r\nmax_age: 86400\r\n' "${o%%,*}"
        [ "$o" = "${o#*,}" ] || printf 'mx: %s\r\n' ${o#*,}; } | sed 's/^mx: \(.*\),/mx: \1/' > "$T/www/.well-known/mta-sts.txt" ;;
    keep) ;;
    redirect | html) : > "$T/www/$o" ;;
    *~* | *^*) options+=("$(tr "~^" " ;" <<< "$o")") ;;
    null) options+=(-f "") ;;
    *) options+=("${o//@T/$T}") ;;
    esac
  done
  case $domain in *@*) ;; *) domain=b@$domain ;; esac
  must_send "$domain" "$field" "${options[@]}"
  IFS=';' read -ra parts <<< "$want"
  first=${parts[0]}
  grep -q "^[^ >*<]* $first " <<< "$output" || bad=$first
  for o in "${parts[@]:1}"; do
    case $o in
    +*) grep -q -- "${o#+}" <<< "$output" || bad="$bad no ${o#+}" ;;
    @*) o=${o#@}; grep -q -- "${o#*:}" "$T/peer.${o%%:*}" || bad="$bad, to ${o%%:*} no ${o#*:}" ;;
    !*) o=${o#!}; ! grep -q -- "${o#*:}" "$T/peer.${o%%:*}" || bad="$bad, to ${o%%:*} ${o#*:}" ;;
    %*) grep -q -- "${o#%}" "$T/history" || bad="$bad, no line ${o#%}: $(cat "$T/history")" ;;
    -*) ! grep -q -- "${o#-}" <<< "$output" || bad="$bad but ${o#-}" ;;
    esac
  done
  [ -z "$bad" ] || { echo "FAILED: $what ($domain): $bad:"; echo "$output"; echo; return 1; }
}

# musts NUMBER: rows of stdin, "what|domain [option...]|field|want"; so many
musts() {
  local want=$1 n=0 failed=0 what where field expect words
  while IFS='|' read -r what where field expect; do
    [ -n "$what" ] || continue
    n=$((n + 1))
    read -ra words <<< "$where"
    must_row "$what" "${words[0]}" "$field" "$expect" "${words[@]:1}" < /dev/null || failed=$((failed + 1))
  done
  echo "$n rows, $failed failed"
  [ "$n" -eq "$want" ]; [ "$failed" -eq 0 ]
}
