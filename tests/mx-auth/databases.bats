# passdb and userdb: order, limits, and where mail lies.
load ../lib/common
load auth

setup() { common_setup; auth_conf; }
teardown() { common_teardown; }

@test "passwd-file: fields of Dovecot's format become the userdb's answer" {
  cat > "$T/users" <<'U'
# comment
joe:{PLAIN}pw:1001:1002:Joe:/home/joe:/bin/sh:userdb_mail=mbox:~/mail:INBOX=/var/mail/%u userdb_quota_rule=*:storage=1G nodelay
ann:{PLAIN}pw
U
  run mx-auth user joe
  [ "$status" -eq 0 ]
  [ "$output" = "user=joe
uid=1001
gid=1002
home=/home/joe
mail=mbox:/home/joe/mail:INBOX=/var/mail/joe
quota_rule=*:storage=1G" ]
  run mx-auth user joe --json
  [[ "$output" == '{"user":"joe","uid":"1001","gid":"1002",'* ]]
  python3 -m json.tool <<<"$output" >/dev/null
}

@test "mail_location expands %u %n %d %h and ~, both generations of names" {
  echo 'joe@ex.org:{PLAIN}pw:1:1::/srv/%d/%n::' > "$T/users"
  local want='mail=maildir:/m/ex.org/joe|joe@ex.org|/srv/ex.org/joe|JOE|100%'
  mx-auth -o 'mail_location=maildir:/m/%d/%n|%u|%h|%Un|100%%' user joe@ex.org | grep -Fx "$want"
  mx-auth -o 'mail_location=maildir:/m/%{user | domain}/%{user|username}|%{user}|%{home}|%Un|100%%' user joe@ex.org | grep -Fx "$want"
  mx-auth -o 'mail_location=maildir:~/Maildir:INDEX=~/ix' user joe@ex.org | grep -Fx 'mail=maildir:/srv/ex.org/joe/Maildir:INDEX=/srv/ex.org/joe/ix'
  mx-auth -o 'mail_location=maildir:/m/%1n/%2Ln' user joe@ex.org | grep -Fx 'mail=maildir:/m/j/jo'
}

@test "~ without a home, and an unknown variable, are trouble with a sentence" {
  echo 'ann:{PLAIN}pw' > "$T/users"
  run mx-auth user ann
  [ "$status" -eq 78 ]
  [[ "$output" == *"~ stands for a home directory"* ]]
  run mx-auth -o 'mail_location=maildir:/m/%q' user ann
  [ "$status" -eq 78 ]
  [[ "$output" == *"variable %q is not known"* ]]
}

@test "static: any name with that password; userdb static gives the shape" {
  sed -i 's/^passdb.*/passdb = static:password=sesam/' "$T/mx.conf"
  printf '%s\n' 'userdb = { static:uid=5000 gid=5000 home=/vmail/%d/%n }' >> "$T/mx.conf"
  auth_try any@ex.org sesam
  run auth_try any@ex.org other
  [ "$status" -eq 1 ]
  run mx-auth user any@ex.org
  [ "$output" = "user=any@ex.org
uid=5000
gid=5000
home=/vmail/ex.org/any
mail=maildir:/vmail/ex.org/any/Maildir" ]
}

@test "without userdb a static passdb's users have mail_location alone" {
  sed -i 's/^passdb.*/passdb = static:password=sesam/' "$T/mx.conf"
  run mx-auth -o 'mail_location=maildir:/var/mail/vmail/%d/%n' user joe@ex.org
  [ "$status" -eq 0 ]
  [ "$output" = "user=joe@ex.org
mail=maildir:/var/mail/vmail/ex.org/joe" ]
}

@test "userdb static knows only users that a passdb knows" {
  echo 'joe:{PLAIN}pw' > "$T/users"
  echo 'userdb = { static:uid=5 gid=5 home=/h/%u }' >> "$T/mx.conf"
  mx-auth user joe | grep -Fx home=/h/joe
  run mx-auth user eve
  [ "$status" -eq 67 ]
}

@test "order: the second database is asked when the first does not say yes" {
  echo 'joe:{PLAIN}one' > "$T/users"; echo 'joe:{PLAIN}two' > "$T/more"
  sed -i "s#^passdb.*#passdb = passwd-file:$T/users, passwd-file:$T/more#" "$T/mx.conf"
  auth_try joe one
  run auth_try joe two
  [ "$status" -eq 0 ]
  [[ "$output" == *"$T/users: Password mismatch"*"$T/more: yes"* ]]
  run auth_try joe three
  [ "$status" -eq 1 ]
}

@test "a database that is away makes no into try again, never yes into no" {
  echo 'joe:{PLAIN}one' > "$T/users"
  sed -i "s#^passdb.*#passdb = passwd-file:$T/gone, passwd-file:$T/users#" "$T/mx.conf"
  auth_try joe one
  run auth_try joe wrong
  [ "$status" -eq 75 ]
  [[ "$output" == "try again: joe"*"$T/gone"*"No such file"* ]]
  run mx-auth user eve
  [ "$status" -ne 0 ]
  [ "$status" -ne 67 ]
}

@test "user names: charset, dots, slashes, case" {
  printf '%s\n' 'joe:{PLAIN}pw' '..:{PLAIN}pw' 'a/b:{PLAIN}pw' > "$T/users"
  auth_try JOE pw
  run auth_try 'jo e' pw
  [ "$status" -eq 1 ]
  [[ "$output" == *auth_username_chars* ]]
  local n
  for n in '..' 'a/b' '.hidden' 'joe@..' 'joe@' '@ex.org' 'joe@a/b'; do
    run mx-auth -o auth_username_chars= test "$n" <<<pw
    [ "$status" -eq 1 ] || { echo "$n: $output"; false; }
    run mx-auth -o auth_username_chars= user "$n"
    [ "$status" -eq 67 ]
  done
}

@test "auth_default_realm and auth_username_format" {
  echo 'joe@ex.org:{PLAIN}pw' > "$T/users"
  auth_try joe pw -o auth_default_realm=ex.org
  echo 'joe:{PLAIN}pw' > "$T/users"
  auth_try joe@ex.org pw -o auth_username_format=%n
}

@test "allow_nets and nologin limit a login" {
  printf '%s\n' 'joe:{PLAIN}pw::::::allow_nets=192.0.2.0/24,2001:db8::/32' 'off:{PLAIN}pw::::::nologin' > "$T/users"
  auth_try joe pw --remote 192.0.2.7
  auth_try joe pw --remote 2001:db8::1
  run auth_try joe pw --remote 198.51.100.1
  [ "$status" -eq 1 ]
  [[ "$output" == *allow_nets* ]]
  run auth_try joe pw
  [ "$status" -eq 1 ]
  run auth_try off pw
  [ "$status" -eq 1 ]
}

@test "bad configuration: the database, the word, what is known" {
  run mx-auth -o passdb=ldap:x test joe <<<pw
  [ "$status" -eq 78 ]
  [[ "$output" == *'passdb: database "ldap" is not known; known are:'*passwd-file* ]]
  run mx-auth -o passdb=passwd-file:users test joe <<<pw
  [ "$status" -eq 78 ]
  [[ "$output" == *"absolute path"* ]]
  run mx-auth -o 'userdb={ static:uid=x }' user joe
  [ "$status" -eq 78 ]
  [[ "$output" == *'"x" is no uid or gid'* ]]
}

@test "usage: unknown options and missing users are 64" {
  run mx-auth test
  [ "$status" -eq 64 ]
  run mx-auth --nope
  [ "$status" -eq 64 ]
  run mx-auth frobnicate
  [ "$status" -eq 64 ]
}

# The system's databases are those of a mount namespace: the host's stay.
with_system_user() {
  cp /etc/passwd "$T/passwd"; cp /etc/shadow "$T/shadow"
  echo 'mxtest:x:4321:4321::/home/mxtest:/bin/sh' >> "$T/passwd"
  echo "mxtest:$(openssl passwd -6 -salt abc geheim):20000:0:99999:7:::" >> "$T/shadow"
  echo "mxold:$(openssl passwd -6 -salt abc geheim):10000:0:99999:7::10001:" >> "$T/shadow"
  echo 'mxold:x:4322:4322::/home/mxold:/bin/sh' >> "$T/passwd"
  cat > "$T/pam" <<'P'
auth required pam_unix.so
account required pam_unix.so
P
  unshare -m bash -c "mount --bind $T/passwd /etc/passwd && mount --bind $T/shadow /etc/shadow &&
    mount --bind $T/pam /etc/pam.d/other && $1"
}

@test "shadow: the system's hashes, expiry, and the home by passwd" {
  need_root
  run with_system_user 'echo geheim | mx-auth -o passdb=shadow test mxtest && mx-auth -o passdb=shadow user mxtest'
  [ "$status" -eq 0 ]
  [[ "$output" == *uid=4321*home=/home/mxtest*mail=maildir:/home/mxtest/Maildir* ]]
  run with_system_user 'echo falsch | mx-auth -o passdb=shadow test mxtest'
  [ "$status" -eq 1 ]
  run with_system_user 'echo geheim | mx-auth -o passdb=shadow test mxold'
  [ "$status" -eq 1 ]
  [[ "$output" == *expired* ]]
  run with_system_user 'echo geheim | mx-auth -o passdb=shadow test nobody'
  [ "$status" -eq 1 ]
}

@test "shadow without root is trouble that says why" {
  need_root
  run setpriv --reuid 65534 --clear-groups mx-auth -c "$T/mx.conf" -o passdb=shadow test daemon <<<x
  [ "$status" -eq 75 ]
  [[ "$output" == *"takes root"* ]]
}

@test "pam: asks the service, and knows who exists" {
  need_root
  run with_system_user 'echo geheim | mx-auth -o passdb=pam:other test mxtest && mx-auth -o passdb=pam:other user mxtest'
  [ "$status" -eq 0 ]
  [[ "$output" == *"pam:other: yes"*home=/home/mxtest* ]]
  run with_system_user 'echo falsch | mx-auth -o passdb=pam:other test mxtest'
  [ "$status" -eq 1 ]
  [[ "$output" == *"pam_authenticate() failed"* ]]
  run with_system_user 'echo geheim | mx-auth -o passdb=pam:other test nosuchuser'
  [ "$status" -eq 1 ]
  run with_system_user 'mx-auth -o passdb=pam:other user nosuchuser'
  [ "$status" -eq 67 ]
}
