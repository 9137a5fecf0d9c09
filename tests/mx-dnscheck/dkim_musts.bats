# RFC 6376's MUSTs for verifiers, row by row with their sections: key records
# (a message signed with that key) and signature fields (changed behind the
# signer: "fail" means that the field was taken and its mathematics refused it,
# "permerror" that the field itself was).
load ../lib/common
load ../lib/dkim
bats_require_minimum_version 1.5.0

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; dkim_keys; }
teardown() { common_teardown; }

verify() { mx-dnscheck --resolver "127.0.0.1:$DNS" dkim 2>/dev/null | head -n 1 | cut -d' ' -f1; }

@test "key records: section, result, record" {
  local n=0 bad=0 section want record got p
  p=$(dkim_public rsa)
  while IFS='|' read -r section want record; do
    n=$((n + 1)); record=${record/WRAPPED/${p:0:60} ${p:60:70}  ${p:130} }
    dkim_txt "k$n" "${record/PUBLIC/$p}" >> "$T/example.zone"
    printf '%s|%s|%s\n' "$section" "$want" "$record" >> "$T/rows"
  done <<'T'
3.6.1 v is optional|pass|p=PUBLIC
3.6.1 v first|pass|v=DKIM1; p=PUBLIC
3.6.1 v MUST be the first tag|permerror|p=PUBLIC; v=DKIM1
3.6.1 v MUST be DKIM1|permerror|v=DKIM2; p=PUBLIC
3.6.1 v is compared byte for byte|permerror|v=dkim1; p=PUBLIC
3.6.1 v is no number|permerror|v=DKIM1.0; p=PUBLIC
3.2 tags MUST be case-sensitive: P is not p|permerror|v=DKIM1; P=PUBLIC
3.2 a tag twice: the whole list is invalid|permerror|v=DKIM1; n=a; n=b; p=PUBLIC
3.2 unrecognized tags MUST be ignored|pass|v=DKIM1; zz=top; p=PUBLIC
3.2 blanks around tags and values|pass|v = DKIM1 ;  k =  rsa ; p = PUBLIC ;
3.2 an empty tag is none|permerror|v=DKIM1;; p=PUBLIC
3.6.1 unrecognized algorithms in h MUST be ignored|pass|v=DKIM1; h=md5:sha256; p=PUBLIC
6.1.2 7: the hash is not among h|permerror|v=DKIM1; h=sha1:md5; p=PUBLIC
3.6.1 unrecognized key types MUST be ignored|permerror|v=DKIM1; k=gost; p=PUBLIC
3.6.1 n is for people|pass|v=DKIM1; n=our=20key,_of=3B_2026; p=PUBLIC
3.6.1 p empty: revoked|permerror|v=DKIM1; p=
6.1.2 8: p missing|permerror|v=DKIM1; k=rsa
3.6.1 s *|pass|v=DKIM1; s=*; p=PUBLIC
3.6.1 s email among others|pass|v=DKIM1; s=xmpp:email; p=PUBLIC
3.6.1 s without email: MUST ignore this record|permerror|v=DKIM1; s=xmpp; p=PUBLIC
3.6.1 unrecognized flags MUST be ignored|pass|v=DKIM1; t=q:zz; p=PUBLIC
3.6.1 t y|pass|v=DKIM1; t=y; p=PUBLIC
3.6.1 t s without i=|pass|v=DKIM1; t=s; p=PUBLIC
3.6.1 blanks in p, as forms and panels wrap it|pass|v=DKIM1; p=WRAPPED
C.1 g of RFC 4871 is ignored|pass|v=DKIM1; g=nobody; p=PUBLIC
T
  dkim_serve
  n=0
  while IFS='|' read -r section want record; do
    n=$((n + 1))
    got=$(message | mx-dkimsign -d example.test -s "k$n" -k "$T/rsa.pem" | verify)
    [ "$got" = "$want" ] || { echo "$section: $record: $got, not $want"; bad=1; }
  done < "$T/rows"
  [ "$n" -eq 25 ]
  [ "$bad" -eq 0 ]
}

@test "signature fields: section, result, change" {
  local bad=0 section want change got n=0
  dkim_serve
  message | mx-dkimsign -d example.test -s rsa -k "$T/rsa.pem" -t 1700000000 > "$T/m"
  [ "$(verify < "$T/m")" = pass ]
  while IFS='|' read -r section want change; do
    n=$((n + 1))
    got=$(sed -E "$change" "$T/m" | verify)
    [ "$got" = "$want" ] || { echo "$section: $change: $got, not $want"; bad=1; }
  done <<'T'
3.5 v REQUIRED|permerror|s/ v=1;//
3.5 v MUST be 1|permerror|s/ v=1;/ v=1.0;/
3.2 tags MUST be case-sensitive|permerror|s/ v=1;/ V=1;/
3.5 a REQUIRED|permerror|s/ a=rsa-sha256;//
3.3 unknown algorithms MUST be ignored|permerror|s/ a=rsa-sha256;/ a=rsa-sha3;/
3.5 b REQUIRED|permerror|s/ b=/ bx=/
3.5 bh REQUIRED|permerror|s/bh=/bx=/
3.5 d REQUIRED|permerror|s/ d=example.test;//
3.5 d MUST be a valid name|permerror|s/ d=example.test;/ d=example..test;/
3.5 d is one name|permerror|s/ d=example.test;/ d=example.test:x.test;/
3.5 h REQUIRED|permerror|s/h=From/hx=From/
3.5 h MUST NOT be empty|permerror|s/h=From.*$/h=; hx=a/
5.4 From MUST be signed|permerror|s/h=From:From:/h=Xfrom:/
3.5 s REQUIRED|permerror|s/ s=rsa;//
3.4 unrecognized canonicalizations MUST be ignored|permerror|s,c=relaxed/relaxed,c=nowsp/relaxed,
3.4 the body's, too|permerror|s,c=relaxed/relaxed,c=relaxed/nowsp,
3.5 c without a body's is simple|fail|s,c=relaxed/relaxed,c=relaxed,
3.5 c is optional|fail|s,c=relaxed/relaxed;,,
3.2 unrecognized tags MUST be ignored, and are signed|fail|s/ v=1;/ v=1; zz=1;/
3.2 a tag twice|permerror|s/ v=1;/ v=1; zz=1; zz=1;/
3.5 i inside d|fail|s/ v=1;/ v=1; i=joe@a.b.example.test;/
3.5 i without a local part|fail|s/ v=1;/ v=1; i=@example.test;/
6.1.1 i outside of d|permerror|s/ v=1;/ v=1; i=@test;/
6.1.1 i that only ends like d|permerror|s/ v=1;/ v=1; i=@anexample.test;/
2.11 i in quoted-printable|fail|s/ v=1;/ v=1; i=a=3Bb=40c@example.test;/
3.5 l is a number|permerror|s/ v=1;/ v=1; l=-1;/
3.5 l MUST NOT be larger than the body|permerror|s/ v=1;/ v=1; l=100000;/
3.5 q: unrecognized ones MUST be ignored|fail|s/ v=1;/ v=1; q=dns\/axfr:dns\/txt;/
3.5 q with none that is known|permerror|s/ v=1;/ v=1; q=dns\/axfr;/
3.5 t is a number|permerror|s/t=1700000000;/t=17e8;/
3.5 x MUST be greater than t|permerror|s/t=1700000000;/t=1700000000; x=1700000000;/
6.1.1 x in the past|permerror|s/t=1700000000;/x=1700000001;/
3.5 x far ahead|fail|s/t=1700000000;/t=1700000000; x=999999999999;/
3.5 z is for people|fail|s/ v=1;/ v=1; z=From:evil@x.test\|To:=20a;/
6.1.1 what is no tag list|permerror|s/ v=1;/ v=1; hello;/
T
  [ "$n" -eq 35 ]
  [ "$bad" -eq 0 ]
}
