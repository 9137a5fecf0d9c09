# Real clients over TLS and STLS: fetchmail, getmail, mpop, curl, poplib, mutt.
load ../lib/common
load pop3
setup() { common_setup; pop3_serve; mails joe 3; export HOME=$T/home; mkdir -p "$HOME"; umask 077; }
teardown() { common_teardown; }
# getmail gives its own delivering child little time
get() { local i; for i in 1 2 3 4 5; do getmail --getmaildir "$T/gm" < /dev/null && return; done; return 1; }
left() { find "$T/mail/joe" -name '*.host*' | wc -l; }

@test "fetchmail: leaves mail on the server and fetches each once; without keep it is gone" {
  printf '#!/bin/sh\ncat >> %s\n' "$T/got" > "$T/mda"; chmod 755 "$T/mda"
  rc() { cat > "$T/rc" <<CF
set no bouncemail
poll 127.0.0.1 protocol POP3 service $1 uidl
  user joe@x.test password secret $2 $3 mda $T/mda
CF
    chmod 600 "$T/rc"; }
  rc "$POP3S" "ssl no sslcertck" keep
  fetchmail -f "$T/rc" -i "$T/ids" -N
  [ "$(grep -c '^Subject: number' "$T/got")" -eq 3 ] && [ "$(left)" -eq 3 ]
  mails joe 1 4
  fetchmail -f "$T/rc" -i "$T/ids" -N
  [ "$(grep -c '^Subject: number' "$T/got")" -eq 4 ] && [ "$(left)" -eq 4 ]
  grep -q '^\.dot$' "$T/got"
  rm -f "$T/got"
  rc "$POP3" "sslproto TLS1.2+ no sslcertck" "nokeep fetchall"
  fetchmail -f "$T/rc" -i "$T/ids2" -N
  [ "$(grep -c '^Subject: number' "$T/got")" -eq 4 ] && [ "$(left)" -eq 0 ]
}

@test "getmail: by UIDL, then deletes" {
  mkdir -p "$T/to"/{cur,new,tmp} "$T/gm"
  cat > "$T/gm/getmailrc" <<CF
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = $POP3S
username = joe@x.test
password = secret
[destination]
type = Maildir
path = $T/to/
$([ "$(id -u)" -ne 0 ] || { chown -R nobody: "$T/to"; echo "user = nobody"; })
[options]
read_all = false
delete = false
CF
  get
  [ "$(grep -h '^Subject: number' "$T"/to/new/* | sort -u | wc -l)" -eq 3 ] && [ "$(left)" -eq 3 ]
  mails joe 1 4
  get
  [ "$(grep -h '^Subject: number' "$T"/to/new/* | sort -u | wc -l)" -eq 4 ] && [ "$(left)" -eq 4 ]
  grep -q '^\.dot$' "$T"/to/new/*
  sed -i 's/^delete = .*/delete = true/' "$T/gm/getmailrc"
  get
  [ "$(left)" -eq 0 ]
}

@test "mpop: pipelining, STLS, killsize and UIDs of its own" {
  mkdir -p "$T/to"/{cur,new,tmp}
  local fp
  fp=$(openssl x509 -in "$T/localhost.crt" -noout -fingerprint -sha256 | sed 's/.*=//')
  cat > "$T/mpoprc" <<CF
account a
host 127.0.0.1
port $POP3
user joe@x.test
password secret
auth plain
tls on
tls_starttls on
tls_fingerprint $fp
pipelining on
keep on
uidls_file $T/uidls
delivery maildir $T/to
CF
  chmod 600 "$T/mpoprc"
  mpop -C "$T/mpoprc" a
  mails joe 1 4
  mpop -C "$T/mpoprc" a
  [ "$(ls "$T/to/new" | wc -l)" -eq 4 ] && [ "$(left)" -eq 4 ]
  sed -i 's/^keep on/keep off/; s/^auth plain/auth user/' "$T/mpoprc"
  mpop -C "$T/mpoprc" a
  [ "$(ls "$T/to/new" | wc -l)" -eq 4 ] && [ "$(left)" -eq 0 ]
}

@test "curl and Python's poplib: list, retrieve, top, delete; STLS" {
  curl -sk "pop3s://127.0.0.1:$POP3S/" -u joe@x.test:secret | tr -d '\r' | grep -q '^3 '
  curl -sk --ssl-reqd "pop3://127.0.0.1:$POP3/2" -u joe@x.test:secret | tr -d '\r' | cmp - "$T"/mail/joe/cur/*02.M1P1Q2.host*
  curl -sk "pop3s://127.0.0.1:$POP3S/1" -X "TOP 1 0" --login-options AUTH=LOGIN -u joe@x.test:secret | grep -q "Subject: number 1"
  py <<'PY'
import poplib
p = poplib.POP3("127.0.0.1", int(os.environ["POP3"])); p.stls(context())
p.user("joe@x.test"); p.pass_("secret")
assert p.stat()[0] == 3 and p.capa()["UIDL"] == [] and len(p.list()[1]) == 3
uid = p.uidl(1).split()[2]
r = p.retr(1)[1]; assert r[-1] == b".dot" and b"Subject: number 1" in r
assert p.top(1, 1)[1][-1] == b"line 1"
p.dele(1); p.rset(); p.dele(3); p.quit()
p = poplib.POP3_SSL("127.0.0.1", int(os.environ["POP3S"]), context=context()); p.utf8()
p.user("joe@x.test"); p.pass_("secret")
assert p.stat()[0] == 2 and p.uidl(1).split()[2] == uid
p.quit()
PY
  [ "$(left)" -eq 2 ]
}
