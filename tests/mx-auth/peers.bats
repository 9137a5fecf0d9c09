# Real peers: Postfix asks mx-auth; our client asks Dovecot's auth service.
load ../lib/common
load ../lib/dovecot
load ../lib/postfix
load auth

setup() {
  common_setup
  auth_conf
  printf '%s\n' 'joe@ex.org:{SHA512-CRYPT}'"$(openssl passwd -6 -salt abc 'p w;"x')"':1001:1002::/home/joe::' > "$T/users"
}
teardown() { common_teardown; }

@test "Postfix: smtpd_sasl_type = dovecot takes mx-auth as its auth server" {
  need_root
  auth_serve
  local port; port=$(free_port)
  postfix_start pf "$port" 'smtpd_sasl_auth_enable = yes' 'smtpd_sasl_type = dovecot' "smtpd_sasl_path = $T/run/auth"
  run swaks --server "127.0.0.1:$port" --auth PLAIN --auth-user joe@ex.org --auth-password 'p w;"x' --quit-after AUTH
  [ "$status" -eq 0 ]
  [[ "$output" == *"235 2.7.0"* ]]
  run swaks --server "127.0.0.1:$port" --auth LOGIN --auth-user joe@ex.org --auth-password 'p w;"x' --quit-after AUTH
  [ "$status" -eq 0 ]
  run swaks --server "127.0.0.1:$port" --auth PLAIN --auth-user joe@ex.org --auth-password wrong --quit-after AUTH
  [[ "$output" == *"535 5.7.8"* ]]
}

# recv PORT AUTH_SOCKET: mx-recv that offers AUTH without TLS
recv() {
  printf '%s\n' 'myhostname = mx.test' "auth_socket = $2" 'smtpd_sasl_auth_enable = yes' \
    'smtpd_tls_auth_only = no' 'net_user = nobody' >> "$T/mx.conf"
  [ "$(id -u)" -eq 0 ] || sed -i '/^net_user/d' "$T/mx.conf"
  spawn mx-recv --mode smtp --listen "127.0.0.1:$1"
  wait_port "$1"
}

@test "mx-recv asks mx-auth: by its socket, and with no daemon by exec:" {
  local link port
  auth_serve
  for link in "unix:$T/run/auth" exec:mx-auth; do
    port=$(free_port)
    recv "$port" "$link"
    swaks --server "127.0.0.1:$port" --auth PLAIN --auth-user joe@ex.org --auth-password 'p w;"x' --quit-after AUTH
    swaks --server "127.0.0.1:$port" --auth LOGIN --auth-user joe@ex.org --auth-password 'p w;"x' --quit-after AUTH
    run swaks --server "127.0.0.1:$port" --auth PLAIN --auth-user joe@ex.org --auth-password wrong --quit-after AUTH
    [[ "$output" == *"535 5.7.8"* ]]
    sed -i '/^auth_socket/d' "$T/mx.conf"
  done
}

@test "Dovecot's auth service and our client: yes, no, who" {
  need_root
  dovecot_auth "$(dovecot_file "$T/users")" "$(dovecot_file "$T/users")"
  auth_try joe@ex.org 'p w;"x' --socket "unix:$T/dove/auth-test"
  run auth_try joe@ex.org wrong --socket "unix:$T/dove/auth-test"
  [ "$status" -eq 1 ]
  run auth_try eve wrong --socket "unix:$T/dove/auth-test" --remote 192.0.2.1
  [ "$status" -eq 1 ]
  run mx-auth user --socket "unix:$T/dove/auth-userdb" joe@ex.org
  [ "$status" -eq 0 ]
  [[ "$output" == *uid=1001*gid=1002*home=/home/joe* ]]
  run mx-auth user --socket "unix:$T/dove/auth-userdb" eve
  [ "$status" -eq 67 ]
}

@test "nobody listens: 75 and what to start" {
  run auth_try joe pw --socket "unix:$T/run/auth"
  [ "$status" -eq 75 ]
  [[ "$output" == *"$T/run/auth"* ]]
}

@test "a server that lies: the answer is try again" {
  spawn socat "UNIX-LISTEN:$T/liar,fork" 'SYSTEM:echo 220 hello ESMTP && sleep 1'
  wait_for 5 test -S "$T/liar"
  run auth_try joe pw --socket "unix:$T/liar"
  [ "$status" -eq 75 ]
  [[ "$output" == *"is this the socket of an auth server"* ]]
}
