#!/usr/bin/env bats
# What RFC 7672 (DANE) says a sending MTA does, row by row.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

setup_file() {
  musts_setup
  local zero ca x
  zero=$(printf '%064d' 0); ca=$(openssl x509 -in "$T/ca.crt" -outform DER | sha256sum | cut -d' ' -f1)
  must_leaf wrongname 30 DNS:somebody.else.test,DNS:nexthop.example; chmod 644 "$T"/wrongname.*
  must_leaf wild 30 'DNS:*.wild.example'; chmod 644 "$T"/wild.*
  # the servers read their certificates when they are first needed
  must_kind wild 127.0.0.20 --cert "$T/wild.crt" --key "$T/wild.key" "--caps=$MUSTS_CAPS"
  must_host x-other "3 1 1 $(must_digest wrongname)"
  must_host x-expired "3 1 1 $(must_digest gone)"
  must_host m-tls "1 1 1 $zero" "3 1 1 $MUSTS_KEY"
  must_host two-tls "3 1 1 $zero" "3 1 1 $MUSTS_KEY"
  must_host short-plain "3 1 1 abcd"
  must_host short-tls "3 1 1 abcd"
  must_host c-tls "3 0 1 $(openssl x509 -in "$T/good.crt" -outform DER | sha256sum | cut -d' ' -f1)"
  must_host k5-tls "3 1 2 $(openssl x509 -in "$T/good.crt" -noout -pubkey | openssl pkey -pubin -outform DER | sha512sum | cut -d' ' -f1)"
  must_host kf-tls "3 1 0 $(openssl x509 -in "$T/good.crt" -noout -pubkey | openssl pkey -pubin -outform DER | od -An -v -tx1 | tr -d ' \n')"
  must_host n9-tls "3 1 9 $zero"
  must_mx nexthop t-other
  must_mx pref tls d-noreq
  must_mx overwrong w-tls d-noreq
  must_mx overplain d-plain tls
  must_mx overunusable u-plain tls
  must_mx overbogus mx.bogus.test. d-tls
  must_mx badmx mx.bogus.test.
  must_mx al alias
  must_mx ial ialias
  must_mx wild-one a.wild
  must_mx wild-two b.a.wild
  printf 'alias 60 IN CNAME d-tls\nialias 60 IN CNAME tls.plain.test.\n_%s._tcp.ialias 60 IN TLSA 3 1 1 %s\ncn 60 IN CNAME to-d-tls\n' "$PORT" "$zero" >> "$MUSTS_ZONE"
  printf 'tc-tls 60 IN A %s\nto-tc-tls 60 IN MX 10 tc-tls\n_%s._tcp.tc-tls 60 IN CNAME shared\nshared 60 IN TLSA 3 1 1 %s\n' "${MUSTS_ADDR[tls]}" "$PORT" "$MUSTS_KEY" >> "$MUSTS_ZONE"
  for x in a.wild b.a.wild; do printf '%s 60 IN A 127.0.0.20\n_%s._tcp.%s 60 IN TLSA 2 0 1 %s\n' "$x" "$PORT" "$x" "$ca"; done >> "$MUSTS_ZONE"
  printf 'wrong 60 IN MX 10 w-tls.example.\nright 60 IN MX 10 d-tls.example.\ntanext 60 IN MX 10 t-other.example.\n' >> "$MUSTS_PLAIN"
  printf '$ORIGIN bogus.test.\n$TTL 60\n%s\n@ 60 IN MX 10 mx\nmx 60 IN A 127.0.0.11\n_%s._tcp.mx 60 IN TLSA 3 1 1 %s\n' "$SOA" "$PORT" "$MUSTS_KEY" > "$T/zbogus"
  zone_sign bogus.test "$T/zbogus"
  sed -i "s/\(IN\tTLSA\t3 1 1 \)$MUSTS_KEY/\1$zero/" "$T/zbogus.signed"
  printf '$ORIGIN late.test.\n$TTL 60\n%s\n@ 60 IN MX 10 tls.example.\n' "$SOA" > "$T/zlate"
  zone_sign late.test "$T/zlate" 20210101
  musts_serve bogus.test "$T/zbogus.signed" late.test "$T/zlate.signed"
}
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "which records apply" {
  musts 25 <<'T'
2.1.2: TLSA that is bogus: MUST NOT deliver, the message waits|badmx.example||deferred 4.7.5;-^> MAIL;+TLSA lookup error
2.1.2: the next server MUST be tried|overbogus.example||sent;+TLSA lookup error;+^\* Verified TLS
2.1.2, 2.2.1: MX that is bogus: delivery MUST be delayed|late.test||deferred 4.4.3;-connecting
2.2 a: usable: encrypted and authenticated|to-d-tls.example||sent;+^\* Verified TLS.*level dane
2.2 a: no STARTTLS: delayed|to-d-plain.example||deferred 4.7.4;-^> MAIL
2.2 a: STARTTLS refused: delayed|to-d-later.example||deferred 4.7.4;-^> MAIL
2.2 a: the next server is tried|overplain.example||sent;@tls:"event": "message"
2.2 b: only unusable: MUST be TLS, authentication is not required|to-u-other.example||sent;+TLS connection.*level encrypt
2.2 b: no STARTTLS: delayed|to-u-plain.example||deferred 4.7.4;-^> MAIL
2.2 b: or the next server|overunusable.example||sent;@tls:"event": "message"
2.2 c: no records: opportunistic TLS|to-other.example||sent;+level may
2.2 c: or none|to-plain.example||sent;-STARTTLS
2.2.1: MX by preference; TLSA MUST NOT make a worse one better|pref.example||sent;@tls:"event": "message";!noreq:connect
2.2.1: one that fails, then the next|overwrong.example||sent;@noreq:"event": "message";!tls:"event": "message"
2.2.1: insecure MX, secure host: TLSA are looked for|wrong.plain.test||deferred 4.7.5;-^> MAIL
2.2.1: and hold|right.plain.test||sent;+level dane
2.2.1: unless we say otherwise|wrong.plain.test -o smtp_tls_dane_insecure_mx_policy=may||sent
2.2.2: no MX: the domain's own address|d-tls.example||sent;+^\* Verified TLS.*level dane
2.2.2: with records that are wrong|w-tls.example||deferred 4.7.5;-^> MAIL
2.2.2: a CNAME from the domain to another|cn.example||sent;+^\* Verified TLS.*level dane
2.2.2: a next hop in brackets|x.example -o relayhost=[w-tls.example]||deferred 4.7.5;-^> MAIL
2.2.3: a secure CNAME of the host: its target's records|al.example||sent;+^\* Verified TLS;@tls:"name": "d-tls.example"
2.2.3: an insecure CNAME: the records of the name as it was|ial.example||deferred 4.7.5;-^> MAIL
2.2.3: a CNAME of the records|to-tc-tls.example||sent;+^\* Verified TLS;@tls:"name": "tc-tls.example"
2.2.3: TLSA of the port in use alone|d-tls.example -o relayhost=[d-tls.example]:1||deferred 4.4.1
T
}

@test "what a certificate has to show" {
  musts 22 <<'T'
3.1.1: DANE-EE: names MUST NOT be checked|to-x-other.example||sent;+^\* Verified TLS
3.1.1: its date MUST be ignored|to-x-expired.example||sent;+^\* Verified TLS
3.1.1: 3 0 1|to-c-tls.example||sent;+^\* Verified TLS
3.1.1: 3 1 2|to-k5-tls.example||sent;+^\* Verified TLS
3.1.1: 3 1 0|to-kf-tls.example||sent;+^\* Verified TLS
3.1: one of several fits|to-two-tls.example||sent;+^\* Verified TLS
3.1.2: DANE-TA: the authority is in the chain|to-t-tls.example||sent;+^\* Verified TLS
3.1.2: the date of the certificate counts|to-t-expired.example||deferred 4.7.5;-^> MAIL
3.2.2: names MUST be checked|to-t-other.example||deferred 4.7.5;-^> MAIL
3.2.2: the next hop domain, where MX are secure, is one of them|nexthop.example||sent;+^\* Verified TLS
3.2.2: insecure MX do not make it one|tanext.plain.test||deferred 4.7.5;-^> MAIL
3.2.3: wildcards MUST be supported|wild-one.example||sent;+^\* Verified TLS
3.2.3: and stand for one label|wild-two.example||deferred 4.7.5;-^> MAIL
3.1.3: PKIX-EE among others is left out|to-m-tls.example||sent;+^\* Verified TLS
3.1.3: alone it is unusable|to-u-tls.example||sent;+level encrypt
3.2: the certificate MUST match|to-w-tls.example||deferred 4.7.5;-^> MAIL
2.2.3 5: an unknown matching type is unusable|to-n9-tls.example||sent;+level encrypt
3.1: data of the wrong length are unusable|to-short-tls.example||sent;+level encrypt
3.1: which asks for TLS|to-short-plain.example||deferred 4.7.4
6: dane-only: no records: delayed|to-tls.example -o smtp_tls_security_level=dane-only||deferred 4.7.5;-^> MAIL
6: none that can be used: delayed|to-u-tls.example -o smtp_tls_security_level=dane-only||deferred 4.7.5;-^> MAIL
8.1: SNI MUST be the TLSA base domain|to-d-tls.example||sent;@tls:"name": "d-tls.example"
T
}
