#!/usr/bin/env bats
# What RFC 8689 (REQUIRETLS, TLS-Required) says a sending MTA does, row by row.
load ../lib/common
load ../lib/send
load ../lib/dnssec
load ../lib/musts

setup_file() {
  musts_setup
  must_mx second noreq tls
  must_mx third plain other noreq tls
  must_mx nobody plain other noreq
  must_mx perhaps noreq down
  must_mx last down noreq
  must_mx halfdown later noreq
  musts_serve
}
teardown_file() { musts_teardown; }
setup() { T=$FILE_T; }

@test "REQUIRETLS" {
  musts 26 <<'T'
2 4.2.1: signed MX, verified, offered: it is asked for|to-tls.example --requiretls||sent;+^\* Verified TLS;+^> MAIL FROM:<me@sender.test>.* REQUIRETLS
2: verified by DANE will do|to-d-tls.example --requiretls -o smtp_tls_CAfile=@T/self.crt||sent;+level dane;+^> MAIL FROM.* REQUIRETLS
2: without, the option is not given to a server that offers it|to-tls.example||sent;+REQUIRETLS$;-^> MAIL.*REQUIRETLS
2 1st: MUST employ TLS: what is offered in clear counts for nothing|to-plain.example --requiretls||bounced 5.7.10;-^> MAIL
2 2nd, 4.2.1 2: MX unsigned, no policy|to-tls.plain.test --requiretls||bounced 5.7.10;-^> MAIL;+are not signed
2 2nd: MX unsigned, a policy names the host|s-tls.plain.test --requiretls sts=enforce,tls.plain.test||sent;+^> MAIL FROM.* REQUIRETLS
2 2nd: a tested policy names it as well|s-tls.plain.test --requiretls sts=testing,*.plain.test||sent;+^> MAIL FROM.* REQUIRETLS
2 2nd: a policy that names others|s-tls.plain.test --requiretls sts=testing,noreq.plain.test||bounced 5.7.10;-^> MAIL
2 2nd: a policy of none|s-tls.plain.test --requiretls sts=none||bounced 5.7.10;-^> MAIL
2 2nd: a policy that cannot be had today: doubt|s-tls.plain.test --requiretls||deferred 4.7.10;-^> MAIL
2 2nd: a server that no MX names|tls.plain.test --requiretls||sent;+^> MAIL FROM.* REQUIRETLS
2 3rd: a certificate of another name|to-other.example --requiretls||bounced 5.7.10;-^> MAIL;+certificate
2 3rd: an expired one|to-expired.example --requiretls||bounced 5.7.10;-^> MAIL;+expired
2 3rd: of nobody we trust|to-tls.example --requiretls -o smtp_tls_CAfile=@T/self.crt||bounced 5.7.10;-^> MAIL
2 3rd: not what DANE says|to-w-tls.example --requiretls||bounced 5.7.10;-^> MAIL
2 3rd: TLSA that cannot be used leaves the trust chain|to-u-tls.example --requiretls||sent;+level verify
2 4th, 4.2.1 5: not offered after STARTTLS|to-noreq.example --requiretls||bounced 5.7.30;-^> MAIL;+^> QUIT
4.2.1: the next host of the list is asked|second.example --requiretls||sent;+^> QUIT;+^> MAIL FROM.* REQUIRETLS
4.2.1: each host of the list, whatever is wrong with those before|third.example --requiretls||sent;+^> MAIL FROM.* REQUIRETLS
4.2.1: no more hosts: a non-delivery notification, at once|nobody.example --requiretls||bounced 5.7.30;-^> MAIL
4.2.1: a host that is down may be fit|perhaps.example --requiretls||deferred 4.4.1;-^> MAIL
4.2.1: in whatever order|last.example --requiretls||deferred 4.4.1;-^> MAIL
4.2.1: one that has no TLS now (454) may have it|to-later.example --requiretls||deferred 4.7.4;-^> MAIL
4.2.1: among others|halfdown.example --requiretls||deferred 4.7.4;-^> MAIL
4.2.1: our own level is no less|to-noreq.example --requiretls -o smtp_tls_security_level=none||bounced 5.7.30;+^> STARTTLS
4.2.1: nor is a policy of ours|to-plain.example --requiretls -o smtp_tls_policy_maps=inline:{to-plain.example=may}||bounced 5.7.10;-^> MAIL
T
}

@test "the null sender: REQUIRETLS where it can be had, and no bounce is lost for it" {
  musts 8 <<'T'
5: MUST also specify REQUIRETLS|to-tls.example --requiretls null||sent;+^> MAIL FROM:<>.* REQUIRETLS
5: a host that has it is looked for first|second.example --requiretls null||sent;+^> MAIL FROM:<>.* REQUIRETLS
5: SHOULD NOT be discarded where it is not offered|to-noreq.example --requiretls null||sent;+^> MAIL FROM:<>;-^> MAIL.*REQUIRETLS;+TLS connection
5: nor for a certificate|to-other.example --requiretls null||sent;-^> MAIL.*REQUIRETLS;+TLS connection
5: nor without TLS|to-plain.example --requiretls null||sent;-^> MAIL.*REQUIRETLS
5: nor for unsigned MX records|to-tls.plain.test --requiretls null||sent;-^> MAIL.*REQUIRETLS
5: what DANE asks for stands|to-w-tls.example --requiretls null||deferred 4.7.5;-^> MAIL
5: and what MTA-STS does|s-plain.plain.test --requiretls null sts=enforce,plain.plain.test||deferred 4.7.4;-^> MAIL
T
}

@test "TLS-Required: No" {
  musts 20 <<'T'
3 4.2.2: DANE is ignored, STARTTLS is used|to-w-tls.example|TLS-Required: No\n|sent;+^> STARTTLS;+level may
3: where the policy asks for TLS and there is none|to-d-plain.example|TLS-Required: No\n|sent
3: records that cannot be used|to-u-plain.example|TLS-Required: No\n|sent
3: MTA-STS: no TLS|s-plain.plain.test sts=enforce,plain.plain.test|TLS-Required: No\n|sent
3: MTA-STS: a certificate of another name|s-other.plain.test sts=enforce,other.plain.test|TLS-Required: No\n|sent;+^> STARTTLS
3: MTA-STS: a host that the policy does not name|s-tls.plain.test sts=enforce,x.plain.test|TLS-Required: No\n|sent;+^> STARTTLS
3: the same without the field waits|to-w-tls.example||deferred 4.7.5;-^> MAIL
3: and this|s-plain.plain.test sts=enforce,plain.plain.test||deferred 4.7.4;-^> MAIL
3: SHOULD negotiate STARTTLS if available|to-tls.example|TLS-Required: No\n|sent;+^> STARTTLS
4.2.2: STARTTLS that fails now does not hold it|to-d-later.example|TLS-Required: No\n|sent;+^> STARTTLS
4.2.2: a server that requires STARTTLS: the sender is told|to-need.example|TLS-Required: No\n|bounced 5.7.1
4.1: with REQUIRETLS the field MUST be ignored|to-w-tls.example --requiretls|TLS-Required: No\n|bounced 5.7.10;-^> MAIL
3 ABNF: case does not count, nor does folding|to-w-tls.example|tls-required:\n nO\n|sent
3 ABNF: another value is none|to-w-tls.example|TLS-Required: Yes\n|deferred 4.7.5
3 ABNF: nor is an empty one|to-w-tls.example|TLS-Required:\n|deferred 4.7.5
3 ABNF: nor a comment|to-w-tls.example|TLS-Required: No (really)\n|deferred 4.7.5
3: more than one MUST NOT appear: none of them counts|to-w-tls.example|TLS-Required: No\nTLS-Required: No\n|deferred 4.7.5
3: in the body it is text|to-w-tls.example|From: a@x.test\n\nTLS-Required: No\n|deferred 4.7.5
8.4: our own rules are not the recipient's policy|to-plain.example -o smtp_tls_security_level=encrypt|TLS-Required: No\n|deferred 4.7.4
tls_required_enable = no|to-w-tls.example -o tls_required_enable=no|TLS-Required: No\n|deferred 4.7.5
T
}
