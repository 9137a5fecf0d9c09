# OAUTHBEARER (RFC 7628) and XOAUTH2: curl logs in to mx-recv and mx-imapd with
# tokens that a small authorization server knows, or that are JWTs.
load ../lib/common
load ../lib/mailbox
load auth

setup() {
  common_setup
  WEB=$(free_port)
  printf '%s\n' 'good+/~= {"email": "joe@x.test", "scope": "mail other", "expires_in": 100}' \
    'active.1 {"active": true, "email": "Joe@x.test", "scope": "mail"}' \
    'gone.1 {"active": false, "email": "joe@x.test", "scope": "mail"}' \
    'old.1 {"email": "joe@x.test", "scope": "mail", "expires_in": 0}' \
    'scope.1 {"email": "joe@x.test", "scope": "calendar"}' \
    'eve.1 {"email": "eve@x.test", "scope": "mail"}' \
    'nobody.1 {"sub": "7", "scope": "mail"}' \
    'nested.1 {"a": {"email": "joe@x.test"}, "scope": "mail"}' > "$T/tokens"
  spawn python3 "$ROOT/tests/mx-auth/oauth_server.py" "$WEB" "$T/tokens" "$T/web.log"
  wait_listen "$WEB"
}
teardown() { common_teardown; }

# conf LINES...: dovecot-oauth2.conf.ext
conf() { printf '%s\n' "$@" > "$T/oauth2.conf.ext"; chmod 644 "$T/oauth2.conf.ext"; }

# host: mx-auth and mx-recv with submission over TLS
host() {
  chmod 755 "$T"
  mailbox_host "passdb = oauth2:$T/oauth2.conf.ext, passwd-file:$T/users" \
    'auth_mechanisms = plain oauthbearer xoauth2' 'myhostname = mx.test' "auth_socket = unix:$T/run/auth" \
    'smtpd_sasl_auth_enable = yes' 'smtpd_tls_auth_only = no' "smtpd_tls_cert_file = $T/localhost.crt" \
    "smtpd_tls_key_file = $T/localhost.key" 'smtpd_delay_reject = no' 'smtpd_recipient_restrictions = permit_sasl_authenticated, reject' 'smtpd_relay_restrictions ='
  SMTP=$(free_port)
  spawn mx-recv --mode smtp --listen "127.0.0.1:$SMTP"
  wait_listen "$SMTP"
}
# login USER TOKEN [curl options]: AUTH over TLS
login() {
  local user=$1 token=$2; shift 2
  run timeout 20 curl -vsk --ssl-reqd "smtp://127.0.0.1:$SMTP" --user "$user" --oauth2-bearer "$token" -X NOOP "$@"
}
yes() { login "$@"; echo "$output" | grep '^[<>*]' | tail -12; tail -5 "$MX_LOG"; grep -q '< 235 2.7.0' <<<"$output"; }
no() { login "$@"; echo "$output" | grep '^[<>]' | tail -8; tail -3 "$MX_LOG"; ! grep -q '< 235' <<<"$output"; grep -q '< 535 5.7.8' <<<"$output"; }
temp() { login "$@"; grep -q '< 454 4.7.0' <<<"$output"; }

@test "tokeninfo, introspection by GET and POST: good tokens and bad ones" {
  conf "tokeninfo_url = http://127.0.0.1:$WEB/tokeninfo?access_token=" 'scope = mail'
  host
  yes joe@x.test 'good+/~='
  yes JOE@x.test 'good+/~='
  yes joe@x.test 'good+/~=' --login-options AUTH=XOAUTH2
  no joe@x.test wrong
  no joe@x.test wrong --login-options AUTH=XOAUTH2
  no eve@x.test 'good+/~='
  for t in gone.1 old.1 scope.1 eve.1; do no joe@x.test $t; done
  temp joe@x.test nobody.1
  temp joe@x.test nested.1
  grep -q 'GET /tokeninfo' "$T/web.log"
  conf "introspection_url = http://127.0.0.1:$WEB/userinfo" 'introspection_mode = auth'
  yes joe@x.test active.1
  no joe@x.test gone.1
  grep -q 'GET /userinfo Bearer' "$T/web.log"
  conf "introspection_url = http://127.0.0.1:$WEB/introspect" 'introspection_mode = post' 'client_id = mx' \
    'client_secret = s3cr+t/=' 'active_attribute = active' 'active_value = true'
  yes joe@x.test active.1
  no joe@x.test unknown.1
  no joe@x.test 'good+/~='
  conf "tokeninfo_url = http://127.0.0.1:$WEB/tokeninfo?access_token=" 'force_introspection = yes' \
    "introspection_url = http://127.0.0.1:$WEB/tokeninfo?access_token=" 'introspection_mode = get'
  yes joe@x.test 'good+/~='
  # no token, whole or escaped, is in a log
  ! grep -E 'good|active\.1|gone\.1|wrong|s3cr' "$MX_LOG"
  grep -q 'oauth(joe@x.test,127.0.0.1): Password mismatch (the token has expired)' "$MX_LOG"
  ! grep -E 'good|active\.1|gone\.1|s3cr' "$T"/out.*
}

@test "RFC 7628 3.2.2: a JSON status, the client's ^A, then the failure" {
  conf "tokeninfo_url = http://127.0.0.1:$WEB/tokeninfo?access_token=" 'scope = mail' \
    'openid_configuration_url = https://x.test/.well-known/openid-configuration'
  host
  local m r=$'n,a=joe@x.test,\1host=x\1auth=Bearer nope\1\1' x=$'user=joe@x.test\1auth=Bearer nope\1\1'
  r=$(printf %s "$r" | base64 -w0) x=$(printf %s "$x" | base64 -w0)
  printf '%s' "$HELLO" $'AUTH\t1\tOAUTHBEARER\tservice=smtp\tsecured\tresp='"$r"$'\nCONT\t1\tAQ==\n' \
    $'AUTH\t2\tXOAUTH2\tservice=smtp\tsecured\tresp='"$x"$'\nCONT\t2\t\n' \
    $'AUTH\t3\tOAUTHBEARER\tservice=smtp\tresp='"$r"$'\n' > "$T/in"
  python3 - "$T/run/auth" "$T/in" > "$T/said" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f, g = s.makefile("r"), s.makefile("w")
cont = {}
for line in open(sys.argv[2]):
    if line.startswith("CONT"): cont[line.split("\t")[1]] = line
    else: g.write(line)
g.flush(); done = 0
while done < 3:
    l = f.readline(); print(l, end="")
    w = l.rstrip("\n").split("\t")
    if w[0] == "CONT": g.write(cont[w[1]]); g.flush()
    if w[0] in ("FAIL", "OK"): done += 1
PY
  cat "$T/said"
  m=$(sed -n 's/^CONT\t1\t//p' "$T/said" | base64 -d)
  [ "$m" = '{"status":"invalid_token","scope":"mail","openid-configuration":"https://x.test/.well-known/openid-configuration"}' ]
  m=$(sed -n 's/^CONT\t2\t//p' "$T/said" | base64 -d)
  [ "$m" = '{"status":"401","schemes":"bearer","scope":"mail"}' ]
  grep -q $'^FAIL\t1\tuser=joe@x.test$' "$T/said"
  grep -q $'^FAIL\t2\tuser=joe@x.test$' "$T/said"
  grep -q $'^FAIL\t3\t.*TLS' "$T/said"
}

@test "a server that is slow, down, gone, too loud, or points elsewhere: try again, and no token follows" {
  conf "introspection_url = http://127.0.0.1:$WEB/down"
  host
  for p in down big broken moved; do
    conf "introspection_url = http://127.0.0.1:$WEB/$p"
    temp joe@x.test 'good+/~='
  done
  conf "introspection_url = http://127.0.0.1:$WEB/slow" 'timeout_msecs = 200'
  temp joe@x.test 'good+/~='
  conf "introspection_url = http://127.0.0.1:1/"
  temp joe@x.test 'good+/~='
  [ ! -e "$T/web.log" ] || ! grep userinfo "$T/web.log"
}

@test "JWTs with keys in files: HS, RS, PS and ES; what they must say" {
  local k=$T/keys/default a
  mkdir -p "$k" && chmod 755 "$T/keys"
  printf 'a shared secret of the house' > "$T/HS"
  openssl genrsa -out "$T/RS" 2048 2>/dev/null
  openssl genrsa -out "$T/weak" 1024 2>/dev/null
  openssl ecparam -name prime256v1 -genkey -noout -out "$T/ES256"
  openssl ecparam -name secp384r1 -genkey -noout -out "$T/ES384"
  for a in HS256 HS512; do mkdir -p "$k/$a"; base64 -w0 "$T/HS" > "$k/$a/default"; done
  for a in RS256 RS512 PS256; do mkdir -p "$k/$a"; openssl pkey -in "$T/RS" -pubout -out "$k/$a/default"; done
  openssl pkey -in "$T/weak" -pubout -out "$k/RS256/weak"
  for a in ES256 ES384; do mkdir -p "$k/$a"; openssl pkey -in "$T/$a" -pubout -out "$k/$a/default"; done
  openssl pkey -in "$T/ES384" -pubout -out "$k/ES256/wrong"
  mkdir -p "$T/keys/app%2f1/RS256"; cp "$k/RS256/default" "$T/keys/app%2f1/RS256/k%251"
  # a public key must not pass as a shared secret
  mkdir -p "$k/HS384"; base64 -w0 "$k/RS256/default" > "$T/pub64"
  conf 'introspection_mode = local' "local_validation_key_dict = fs:posix:prefix=$T/keys/" 'username_attribute = email' \
    'issuers = https://a.test https://b.test' 'client_id = mx' 'scope = mail'
  host
  j() { local alg=$1 key=$2; shift 2
    python3 "$ROOT/tests/mx-auth/jwt.py" "$alg" "$T/$key" email=joe@x.test iss=https://b.test aud=other,mx scope='mail x' "$@"; }
  yes joe@x.test "$(j HS256 HS)"
  yes joe@x.test "$(j HS512 HS)"
  yes joe@x.test "$(j RS256 RS)"
  yes joe@x.test "$(j RS512 RS)"
  yes joe@x.test "$(j PS256 RS)"
  yes joe@x.test "$(j ES256 ES256 iat=-5 nbf=-5)"
  yes joe@x.test "$(j ES384 ES384)"
  yes joe@x.test "$(j RS256 RS azp=app/1 h.kid=k%1)"
  no eve@x.test "$(j RS256 RS)"
  no joe@x.test "$(j RS256 weak h.kid=weak)"
  no joe@x.test "$(j none HS)"
  no joe@x.test "$(j HS384 HS)"
  no joe@x.test "$(j ES256 ES384 h.kid=wrong)"
  no joe@x.test "$(j RS256 RS h.kid=../RS256/default)"
  no joe@x.test "$(j RS256 RS h.kid=other)"
  no joe@x.test "$(j RS256 RS h.crit=a,b)"
  for claim in exp=-1 exp= exp=soon nbf=+100 iat=+100 iss=https://c.test iss= aud=other aud= scope=calendar scope= sub=; do
    echo "$claim"
    no joe@x.test "$(j RS256 RS "$claim")"
  done
  a=$(j RS256 RS)
  no joe@x.test "${a%??}AA"
  no joe@x.test "${a%.*}."
  no joe@x.test "x$a"
}

@test "never offered without TLS; mx-imapd takes curl's token; a bad file is 78" {
  conf "tokeninfo_url = http://127.0.0.1:$WEB/tokeninfo?access_token="
  host
  local port=$(free_port) log
  spawn mx-imapd --mode imap --listen "127.0.0.1:$port"
  wait_listen "$port"
  curl -vsk --ssl-reqd "imap://127.0.0.1:$port/" --user joe@x.test --oauth2-bearer 'good+/~=' 2>&1 | tee "$T/imap"
  grep -q 'A00. OK.*Logged in' "$T/imap"
  grep -q INBOX "$T/imap"
  curl -vsk --ssl-reqd "imap://127.0.0.1:$port/" --user joe@x.test --oauth2-bearer bad 2>&1 | tee "$T/imap" || true
  grep -q 'NO \[AUTHENTICATIONFAILED\]' "$T/imap"
  printf 'a CAPABILITY\r\nb LOGOUT\r\n' | timeout 5 nc -q 2 127.0.0.1 "$port" > "$T/caps"
  grep -q CAPABILITY "$T/caps"
  ! grep -iE 'OAUTH' "$T/caps"
  curl -vs "smtp://127.0.0.1:$SMTP" -X NOOP > "$T/ehlo" 2>&1
  grep -q 'AUTH PLAIN' "$T/ehlo"
  ! grep -i 'OAUTH' "$T/ehlo"
  for bad in 'nonsense = 1' 'introspection_mode = local' 'timeout_msecs = x' 'scope = mail' \
    'local_validation_key_dict = redis:1'; do
    conf "$bad"
    run mx-auth --listen "unix:$T/run/other"
    [ "$status" -eq 78 ]
    [[ $output == *oauth2.conf.ext* ]]
  done
}
