# make install: what goes where, and the links only when asked for.
load ../lib/common

setup() { common_setup; }
teardown() { common_teardown; }

@test "programs, pages, units, users below DESTDIR" {
  make -s -C "$ROOT" BUILD="$MX_BUILD" install DESTDIR="$T/d" PREFIX=/usr
  [ -x "$T/d/usr/sbin/mx-auth" ]
  "$T/d/usr/sbin/mx-auth" --version
  [ -e "$T/d/usr/share/man/man8/mx-auth.8" ]
  grep -q '^ExecStart=/usr/sbin/mx-auth$' "$T/d/usr/lib/systemd/system/mx-auth.service"
  run grep -r /usr/local "$T/d/usr/lib"
  [ -z "$output" ]
  systemd-sysusers --dry-run "$T/d/usr/lib/sysusers.d/mx.conf"
  [ ! -e "$T/d/usr/sbin/sendmail" ]
}

@test "SENDMAIL_LINKS=1 adds sendmail, mailq, newaliases" {
  make -s -C "$ROOT" BUILD="$MX_BUILD" install DESTDIR="$T/d" SENDMAIL_LINKS=1
  [ "$(readlink "$T/d/usr/local/sbin/sendmail")" = ../bin/mx-submit ]
  [ "$(readlink "$T/d/usr/local/bin/mailq")" = mx-submit ]
  [ -L "$T/d/usr/local/bin/newaliases" ]
}
