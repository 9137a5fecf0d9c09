#!/usr/bin/env bats
# What RFC 8460 (TLS reports) says a sending MTA notes of its sessions, row by
# row; what becomes of it: 65-tlsrpt.bats.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

setup_file() {
  musts_setup
  local zero; zero=$(printf '%064d' 0)
  MUSTS_WEB=(text)
  must_mx twohosts w-tls d-noreq
  must_mx badmx mx.bogus.test.
  printf 's-nocert 60 IN MX 10 tls\n_mta-sts.s-nocert 60 IN TXT "v=STSv1; id=a1;"\nmta-sts.s-nocert 60 IN A 127.0.0.1\n' >> "$MUSTS_PLAIN"
  printf '$ORIGIN bogus.test.\n$TTL 60\n%s\nmx 60 IN A 127.0.0.11\n_%s._tcp.mx 60 IN TLSA 3 1 1 %s\n' "$SOA" "$PORT" "$MUSTS_KEY" > "$T/zbogus"
  zone_sign bogus.test "$T/zbogus"
  sed -i "s/\(IN\tTLSA\t3 1 1 \)$MUSTS_KEY/\1$zero/" "$T/zbogus.signed"
  musts_serve bogus.test "$T/zbogus.signed"
  cat "$T/web.leaf" "$T/self.crt" > "$T/both.crt"; chmod 644 "$T/both.crt"
}
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "sessions" {
  sed 's/^\([^|]*|[^|]*\)/\1 -o tlsrpt_history_file=@T\/history/' <<'T' > "$T/rows"
4.1: a success, with the policy that applied|to-d-tls.example||sent;%type=tlsa .*policy="\?3 1 1 .* result=success
4.2: one of no policy|to-tls.example||sent;%type=no-policy-found result=success
4.1: one of MTA-STS, its lines|s-tls.plain.test sts=enforce,*.plain.test||sent;%type=sts policy="version: STSv1" policy="mode: enforce" .*result=success
4.3.1: starttls-not-supported|to-d-plain.example||deferred 4.7.4;%result=starttls-not-supported
4.3.1: where nothing asks for it, too|to-plain.example||sent;%type=no-policy-found result=starttls-not-supported
4.3.1: certificate-host-mismatch|s-other.plain.test sts=enforce,*.plain.test||deferred 4.7.5;%type=sts .*result=certificate-host-mismatch
4.3.1: certificate-expired|s-expired.plain.test sts=enforce,*.plain.test||deferred 4.7.5;%result=certificate-expired
4.3.1: certificate-not-trusted|s-tls.plain.test sts=enforce,*.plain.test -o smtp_tls_CAfile=@T/both.crt||deferred 4.7.5;%result=certificate-not-trusted
4.3.1: validation-failure: the policy names others|s-tls.plain.test sts=enforce,x.test||deferred 4.7.5;%result=validation-failure
4.3.2.1: tlsa-invalid|to-w-tls.example||deferred 4.7.5;%type=tlsa .*result=tlsa-invalid
4.3.2.1: none that can be used|to-u-tls.example||sent;%result=tlsa-invalid
4.3.2.1: dnssec-invalid|badmx.example||deferred 4.7.5;%type=tlsa .*result=dnssec-invalid
4.3.2.1: dane-required|to-tls.example -o smtp_tls_security_level=dane-only||deferred 4.7.5;%result=dane-required
4.3.2.2: sts-policy-fetch-error|s-tls.plain.test||sent;%type=sts result=sts-policy-fetch-error
4.3.2.2: sts-policy-invalid|s-tls.plain.test sts=nonsense||sent;%result=sts-policy-invalid
4.3.2.2: sts-webpki-invalid|s-nocert.plain.test sts=enforce,*.plain.test||sent;%result=sts-webpki-invalid
4.1: a policy that is tested is told as one that is enforced|s-other.plain.test sts=testing,*.plain.test||sent;%result=certificate-host-mismatch
4.1: each session: the host that failed|twohosts.example||sent;%result=tlsa-invalid mx=w-tls.example
4.1: and the one that took it|twohosts.example||sent;%result=success mx=d-noreq.example
4.3: receiving-mx-hostname, receiving-ip, sending-mta-ip, receiving-mx-helo|to-w-tls.example||deferred 4.7.5;%mx=w-tls.example ip=127.0.0.11 local=127.0.0.1 helo=peer.example
4.3.1: failure-reason: in words|to-w-tls.example||deferred 4.7.5;%reason=".*no matching DANE TLSA
4.4: policy-domain: where mail goes, not its host|to-d-tls.example||sent;%domain=to-d-tls.example
T
  musts 22 < "$T/rows"
}

@test "reports are sent all the same, and none is made of them" {
  sed 's/^\([^|]*|[^|]*\)/\1 -o tlsrpt_history_file=@T\/history/' <<'T' > "$T/rows"
3 5.3: SHOULD be delivered whatever DANE says|to-w-tls.example|TLS-Report-Domain: x.test\n|sent;+^> STARTTLS
5.3: or MTA-STS|s-plain.plain.test sts=enforce,*.plain.test|TLS-Report-Domain: x.test\n|sent
5.3: without TLS|to-d-plain.example|TLS-Report-Domain: x.test\n|sent
T
  musts 3 < "$T/rows"
  [ ! -s "$T/history" ]
}
