#!/usr/bin/env bats
# What RFC 8461 (MTA-STS) says a sending MTA does, row by row.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

# the record of s-NAME.plain.test, whose host speaks no TLS: where the policy
# counts its mail waits
record() {
  local name=$1 one; shift
  printf 's-%s 60 IN MX 10 plain\nmta-sts.s-%s 60 IN A 127.0.0.1\n' "$name" "$name"
  for one; do printf '_mta-sts.s-%s 60 IN TXT %s\n' "$name" "$one"; done
}
setup_file() {
  musts_setup
  MUSTS_WEB=(ext two v2 vlow noid badid longid beside first parts none cname ws next dd)
  {
    record ext '"v=STSv1; id=a1; ext=1;"'
    record two '"v=STSv1; id=a1;"' '"v=STSv1; id=a2;"'
    record v2 '"v=STSv2; id=a1;"'
    record vlow '"v=stsv1; id=a1;"'
    record noid '"v=STSv1;"'
    record badid '"v=STSv1; id=a-1;"'
    record longid '"v=STSv1; id=a12345678901234567890123456789012;"'
    record beside '"v=STSv1; id=a1;"' '"v=spf1 -all"'
    record first '"id=a1; v=STSv1;"'
    record parts '"v=STSv1;" " id=a1;"'
    record none
    record cname; printf '_mta-sts.s-cname 60 IN CNAME _mta-sts.s-ext\n'
    record ws '"v=STSv1 ;  id=a1"'
    record nocert '"v=STSv1; id=a1;"'
    record next '"v=STSv1; id=a1;"'; printf 's-next 60 IN MX 20 tls\n'
    printf 's-dd 60 IN MX 10 w-tls.example.\n_mta-sts.s-dd 60 IN TXT "v=STSv1; id=a1;"\nmta-sts.s-dd 60 IN A 127.0.0.1\n'
  } >> "$MUSTS_PLAIN"
  musts_serve
  cat "$T/web.leaf" "$T/self.crt" > "$T/both.crt"; chmod 644 "$T/both.crt"
}
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "the record" {
  musts 14 <<'T'
3.1: one record: the policy counts|s-plain.plain.test sts=enforce,*.plain.test||deferred 4.7.4;-^> MAIL
3.1: fields that are not known are ignored|s-ext.plain.test sts=enforce,*.plain.test||deferred 4.7.4
3.1: more than one: MUST assume there is none|s-two.plain.test sts=enforce,*.plain.test||sent
3.1: v MUST be STSv1|s-v2.plain.test sts=enforce,*.plain.test||sent
3.1: byte for byte|s-vlow.plain.test sts=enforce,*.plain.test||sent
3.1: id is required|s-noid.plain.test sts=enforce,*.plain.test||sent
3.1: letters and digits|s-badid.plain.test sts=enforce,*.plain.test||sent
3.1: at most 32|s-longid.plain.test sts=enforce,*.plain.test||sent
3.1: records that do not begin with v=STSv1; are discarded|s-beside.plain.test sts=enforce,*.plain.test||deferred 4.7.4
3.1: v stands first|s-first.plain.test sts=enforce,*.plain.test||sent
3.1: strings MUST be joined without spaces|s-parts.plain.test sts=enforce,*.plain.test||deferred 4.7.4
3.1: no record: none|s-none.plain.test sts=enforce,*.plain.test||sent
8.2: a CNAME leads to the record|s-cname.plain.test sts=enforce,*.plain.test||deferred 4.7.4
3.1: blanks around the semicolon, and no last one|s-ws.plain.test sts=enforce,*.plain.test||deferred 4.7.4
T
}

# text TEXT: the policy as it stands, \r and \n written out
policies() {
  local n=0 bad=0 what want text
  while IFS='|' read -r what want text; do
    n=$((n + 1)); printf "$text" > "$T/sts"
    must_row "$what" s-plain.plain.test '' "$want" sts=text < /dev/null || bad=1
  done
  [ "$n" -eq "$1" ]; [ "$bad" -eq 0 ]
}
@test "the policy's text" {
  policies 17 <<'T'
3.2: lines end with CRLF|deferred 4.7.4|version: STSv1\r\nmode: enforce\r\nmx: plain.plain.test\r\nmax_age: 86400\r\n
3.2: or with LF|deferred 4.7.4|version: STSv1\nmode: enforce\nmx: plain.plain.test\nmax_age: 86400\n
3.2: the last line end may be missing|deferred 4.7.4|version: STSv1\nmode: enforce\nmx: plain.plain.test\nmax_age: 86400
3.2: any order|deferred 4.7.4|max_age: 86400\nmx: plain.plain.test\nmode: enforce\nversion: STSv1\n
3.2: several mx|deferred 4.7.4|version: STSv1\nmode: enforce\nmx: a.test\nmx: plain.plain.test\nmax_age: 86400\n
3.2: fields that are not known MUST be ignored|deferred 4.7.4|version: STSv1\nmode: enforce\nx-y: z\nmx: plain.plain.test\nmax_age: 86400\n
3.2: of a field that comes twice all but the first MUST be ignored|deferred 4.7.4|version: STSv1\nmode: enforce\nmode: none\nmx: plain.plain.test\nmax_age: 86400\n
3.2: no version: none|sent|mode: enforce\nmx: plain.plain.test\nmax_age: 86400\n
3.2: another version|sent|version: STSv2\nmode: enforce\nmx: plain.plain.test\nmax_age: 86400\n
3.2: no mode|sent|version: STSv1\nmx: plain.plain.test\nmax_age: 86400\n
3.2: a mode that is none|sent|version: STSv1\nmode: force\nmx: plain.plain.test\nmax_age: 86400\n
3.2: no max_age|sent|version: STSv1\nmode: enforce\nmx: plain.plain.test\n
3.2: max_age is a number|sent|version: STSv1\nmode: enforce\nmx: plain.plain.test\nmax_age: 1d\n
3.2: at most ten digits|sent|version: STSv1\nmode: enforce\nmx: plain.plain.test\nmax_age: 12345678901\n
3.2: enforce needs an mx|sent|version: STSv1\nmode: enforce\nmax_age: 86400\n
3.2: a mode of none needs none|sent|version: STSv1\nmode: none\nmax_age: 86400\n
3.2: a line that is no field|sent|version: STSv1\nmode: enforce\nnonsense\nmx: plain.plain.test\nmax_age: 86400\n
T
}

@test "the server, the hosts, the modes" {
  musts 24 <<'T'
3.3: the server's certificate MUST stand for mta-sts.DOMAIN|s-nocert.plain.test sts=enforce,*.plain.test||sent;+^\* MTA-STS
3.3: redirects MUST NOT be followed|s-plain.plain.test sts=enforce,*.plain.test redirect||sent;+^\* MTA-STS
3.3: SHOULD look at the media type: text/plain|s-plain.plain.test sts=enforce,*.plain.test html||sent;+^\* MTA-STS
3.3: no answer but 200 is a policy|s-plain.plain.test||sent;+^\* MTA-STS
4.1: a host that the policy names|s-tls.plain.test sts=enforce,tls.plain.test||sent;+level verify, MTA-STS
4.1: case does not count|s-tls.plain.test sts=enforce,TLS.Plain.TEST||sent;+level verify, MTA-STS
4.1: a wildcard is one label|s-tls.plain.test sts=enforce,*.plain.test||sent;+level verify, MTA-STS
4.1: and no more|s-tls.plain.test sts=enforce,*.test||deferred 4.7.5;-^> MAIL
4.1: nor none|s-tls.plain.test sts=enforce,*.tls.plain.test||deferred 4.7.5;-^> MAIL
4.1: a host that it does not name MUST NOT get it|s-tls.plain.test sts=enforce,mx.plain.test||deferred 4.7.5;-^> MAIL;+does not name host
4.2: a name of the host MUST be in the certificate|s-other.plain.test sts=enforce,*.plain.test||deferred 4.7.5;-^> MAIL
4.2: it MUST NOT be expired|s-expired.plain.test sts=enforce,*.plain.test||deferred 4.7.5;-^> MAIL
4.2: MUST chain to an authority we know|s-tls.plain.test sts=enforce,*.plain.test -o smtp_tls_CAfile=@T/both.crt||deferred 4.7.5;-^> MAIL
5: enforce: no STARTTLS: MUST NOT deliver|s-plain.plain.test sts=enforce,*.plain.test||deferred 4.7.4;-^> MAIL
5: STARTTLS refused|s-later.plain.test sts=enforce,*.plain.test||deferred 4.7.4;-^> MAIL
5 8.4: the next MX is tried|s-next.plain.test sts=enforce,*.plain.test||sent;@tls:"event": "message";!plain:"event": "message"
8.4: an MX that the policy does not name is passed over|s-next.plain.test sts=enforce,tls.plain.test||sent;@tls:"event": "message";!plain:"event": "message"
5: testing: sent all the same|s-plain.plain.test sts=testing,*.plain.test||sent
5: whatever the certificate|s-other.plain.test sts=testing,*.plain.test||sent;+level may, MTA-STS
5: none: as if there were no policy|s-plain.plain.test sts=none||sent
5.1: failures of the policy alone are no failure for good|s-tls.plain.test sts=enforce,x.test||deferred 4.7.5
7.1: SNI MUST be the host's name|s-tls.plain.test sts=enforce,*.plain.test||sent;@tls:"name": "tls.plain.test"
2: MTA-STS MUST NOT override DANE: records that are wrong|s-dd.plain.test sts=enforce,w-tls.example||deferred 4.7.5;-^> MAIL
2: nor does a tested policy|s-dd.plain.test sts=testing,w-tls.example||deferred 4.7.5;-^> MAIL
T
}

@test "the cache" {
  local policy=sts=enforce,*.plain.test
  cache() { must_row "$1" s-plain.plain.test '' "$2" keep "${@:3}"; }
  rm -rf "$T/data/mta-sts"
  cache "3.3 5.1: fetched and kept" "deferred 4.7.4" "$policy"
  cache "5.1: a server that is away does not end it" "deferred 4.7.4"
  MX_TEST_TIME=+80000 cache "5.1: while it lives" "deferred 4.7.4"
  MX_TEST_TIME=+90000 cache "3.2: max_age is over" "sent"
  rm -rf "$T/data/mta-sts"
  cache "3.3: a fetch that failed is not tried again at once" "sent"
  cache "3.3: nor a moment later" "sent;-^\* MTA-STS" "$policy"
  MX_TEST_TIME=+400 cache "3.3: SHOULD be limited to once in five minutes" "deferred 4.7.4" "$policy"
  sed -i '1s/a1$/a0/' "$T/data/mta-sts/s-plain.plain.test"
  MX_TEST_TIME=+800 cache "3.1 5.1: another id: the policy is fetched" "sent" sts=none
  sed -i '1s/a1$/a0/' "$T/data/mta-sts/s-plain.plain.test"
  MX_TEST_TIME=+1600 cache "5.1: one that cannot be had leaves the old one" "sent"
}
