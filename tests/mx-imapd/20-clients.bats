# What people read mail with, each as it is used: several rounds, changes on
# both sides, and the mailbox looked at afterwards.
load ../lib/common
load imap
setup() { common_setup; export ROOT HOME=$T/home; mkdir -p "$HOME"; }
teardown() { common_teardown; }

# three SUBJECT...: messages for joe, each with a body of its own
deliver() {
  local s
  for s; do
    printf 'From: a@x.test\nTo: joe@x.test\nSubject: %s\nMessage-ID: <%s@x.test>\nDate: Sat, 3 Jan 2026 01:05:34 +0000\n\nbody of %s\n' "$s" "$s" "$s" |
      mx-deliver --maildir "$T/mail/joe"
  done
  [ "$(id -u)" -ne 0 ] || chown -R nobody "$T/mail/joe"
}
# as_user COMMAND...: who owns the mail
as_user() { if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=nobody --clear-groups "$@"; else "$@"; fi; }
# state: what there is, through a session of its own: "FOLDER SUBJECT FLAGS" lines
state() {
  as_user env -u MX_CONFIG /usr/bin/python3 - "$T/mail/joe" <<'PY'
import sys, os; sys.path.insert(0, os.environ["ROOT"] + "/tests/mx-imapd")
from imap import *
c = preauth(sys.argv[1])
for f in sorted(re.search(rb'"\." "?(.*?)"?$', l).group(1).decode() for l in c.cmd('LIST "" *').ok().lines if b"Noselect" not in l and b"NonExistent" not in l):
    c.cmd(f'EXAMINE "{f}"').ok()
    out = []
    for l in c.cmd("FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])").lines:
        m = re.search(rb"FETCH \(FLAGS \((.*?)\).*Subject: (.*?)\r\n", l, re.S)
        if m: out.append((m.group(2).decode(), " ".join(sorted(x for x in m.group(1).decode().split() if x != "\\Recent"))))
    for s, fl in sorted(out): print(f, s, fl)
PY
}
has() { state > "$T/state"; grep -qxF -- "$1" "$T/state" || { cat "$T/state"; return 1; }; }
hasnt() { state > "$T/state"; ! grep -qF -- "$1" "$T/state" || { cat "$T/state"; return 1; }; }

# mutt_like PROGRAM MACRO: on a terminal of its own
mutt_like() {
  cat > "$T/rc" <<CF
set ssl_starttls=no ssl_verify_host=no certificate_file=$T/localhost.crt
set imap_user=joe@x.test imap_pass=secret imap_idle=no mail_check=1
set folder=imaps://127.0.0.1:$IMAPS/ spoolfile=imaps://127.0.0.1:$IMAPS/INBOX
set header_cache=$T/hcache message_cachedir=$T/mcache
set sort=mailbox-order wait_key=no confirmappend=no confirmcreate=no quit=yes delete=yes auto_tag=yes move=no mark_old=no
CF
  [ "$1" != mutt ] || [ -e "$T/hcache" ] || mkdir "$T/hcache"
  TERM=xterm timeout 60 python3 - "$1" "$T/rc" "$2" > "$T/out" <<'PY'
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.argv[1], "-n", "-F", sys.argv[2], "-e", f'push "{sys.argv[3]}"'], stdin_read=lambda fd: os.read(fd, 1) or b"")))
PY
}

# the same for both: copies, moves, flags, a reply's flag, a new folder, and again from its cache
mutt_rounds() {
  imap_serve
  as_user mkdir -p "$T/mail/joe"
  deliver one two three four
  mutt_like "$1" "<tag-pattern>~s one<enter><copy-message>=Work<enter><untag-pattern>~A<enter><limit>~s two<enter><flag-message><limit>~A<enter><quit>"
  has 'Work one '; has 'INBOX two \Flagged'; has 'INBOX one '
  deliver five
  mutt_like "$1" "<tag-pattern>~s three<enter><save-message>=Work<enter><untag-pattern>~A<enter><limit>~s five<enter><display-message><exit><limit>~A<enter><quit>"
  has 'Work three '; hasnt 'INBOX three'; has 'INBOX five \Seen'
  mutt_like "$1" "<delete-pattern>~s four<enter><sync-mailbox><change-folder>=Work<enter><tag-pattern>~A<enter><copy-message>$T/mbox<enter><quit>"
  hasnt 'INBOX four'
  grep -q '^body of one' "$T/mbox"; grep -q '^body of three' "$T/mbox"
  [ "$(grep -c '^Message-I[Dd]:' "$T/mbox")" -eq 2 ]
}

@test "mutt: copies, saves, flags, deletes; header cache" {
  command -v mutt || skip "no mutt here"
  mutt_rounds mutt
}

@test "neomutt: copies, saves, flags, deletes; header cache; QRESYNC" {
  command -v neomutt || skip "no neomutt here"
  mutt_rounds neomutt
  echo 'set imap_condstore=yes imap_qresync=yes' > "$HOME/.x"
  deliver six
  mutt_like neomutt "<enter-command>source $HOME/.x<enter><change-folder>=INBOX<enter><limit>~s six<enter><set-flag>r<limit>~A<enter><quit>"
  has 'INBOX six \Answered \Seen'
}

@test "offlineimap: both ways, several rounds: new mail, flags, deletions, folders" {
  command -v offlineimap || skip "no offlineimap here"
  imap_serve
  as_user mkdir -p "$T/mail/joe"
  deliver one two three
  cat > "$T/orc" <<CF
[general]
accounts = a
metadata = $T/om
ui = quiet
[Account a]
localrepository = l
remoterepository = r
utf8foldernames = yes
[Repository l]
type = Maildir
localfolders = $T/near
sync_deletes = yes
[Repository r]
type = IMAP
remotehost = localhost
remoteport = $IMAPS
remoteuser = joe@x.test
remotepass = secret
ssl = yes
sslcacertfile = $T/localhost.crt
CF
  oi() { timeout 60 offlineimap -c "$T/orc" -o -u quiet > "$T/out" 2>&1 || { cat "$T/out"; return 1; }; }
  oi
  [ "$(ls "$T"/near/INBOX/{cur,new} | grep -c FMD5)" -eq 3 ]
  # here: a flag, a deletion, a new message, a new folder
  f=$(grep -l 'Subject: one' "$T"/near/INBOX/*/*); mv "$f" "$T/near/INBOX/cur/$(basename "${f%%:2,*}"):2,FS"
  rm "$(grep -l 'Subject: two' "$T"/near/INBOX/*/*)"
  # it makes the folder above it, too, and wants both then
  mkdir -p "$T"/near/Work{,.Été}/{cur,new,tmp}
  printf 'From: a@x.test\nSubject: mine\nMessage-ID: <mine@x.test>\n\nx\n' > "$T/near/Work.Été/cur/1.M1.here:2,S"
  deliver four
  oi
  has 'INBOX one \Flagged \Seen'; hasnt 'INBOX two'; has 'Work.&AMk-t&AOk- mine \Seen'
  grep -lq 'Subject: four' "$T"/near/INBOX/*/*
  # there: the same
  as_user /usr/bin/python3 - "$T/mail/joe" <<'PY'
import sys, os; sys.path.insert(0, os.environ["ROOT"] + "/tests/mx-imapd"); os.environ.pop("MX_CONFIG")
from imap import *
c = preauth(sys.argv[1]); c.select()
n = int(c.cmd("SEARCH SUBJECT three").ok().find(rb"SEARCH (\d+)").group(1)); c.cmd(f"STORE {n} +FLAGS (\\Answered)").ok()
n = int(c.cmd("SEARCH SUBJECT four").ok().find(rb"SEARCH (\d+)").group(1)); c.cmd(f"STORE {n} +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
c.cmd("CREATE Lists").ok(); c.append("Lists", b"Subject: there\r\nMessage-ID: <there@x>\r\n\r\nx\r\n").ok()
PY
  oi; oi
  ls "$T"/near/INBOX/{cur,new} | grep -q ':2,.*R'; ! grep -lq 'Subject: four' "$T"/near/INBOX/*/*
  grep -lq 'Subject: there' "$T"/near/Lists/*/*
  state > "$T/a"; oi; state > "$T/b"; cmp "$T/a" "$T/b"
}

@test "imapfilter: sorts mail by sender, flags, counts" {
  command -v imapfilter || skip "no imapfilter here"
  imap_serve
  as_user mkdir -p "$T/mail/joe"
  deliver one two three
  cat > "$T/f.lua" <<CF
options.timeout = 30
options.subscribe = true
options.create = true
a = IMAP { server = 'localhost', port = $IMAPS, username = 'joe@x.test', password = 'secret', ssl = 'auto' }
a:create_mailbox('Work')
a:subscribe_mailbox('Work')
r = a.INBOX:contain_subject('two') * a.INBOX:is_unseen() * a.INBOX:is_newer(36500)
assert(#r == 1)
r:move_messages(a.Work)
;(a.INBOX:match_body('body of (one)')):mark_flagged()
;(a.INBOX:contain_from('a@x.test') * a.INBOX:contain_subject('three')):delete_messages()
exist, unread = a.INBOX:check_status()
assert(exist == 1, exist)
t = a.Work:fetch_message(1)
CF
  sed -i '$d' "$T/f.lua"
  timeout 60 imapfilter -t "$T/localhost.crt" -c "$T/f.lua" > "$T/out" 2>&1 || { cat "$T/out"; false; }
  has 'Work two '; has 'INBOX one \Flagged'; hasnt 'INBOX three'; hasnt 'INBOX two'
  grep -qx Work "$T/mail/joe/subscriptions"
}

@test "mbsync: five rounds of changes on both sides; nothing to do in the sixth" {
  imap_serve
  as_user mkdir -p "$T/mail/joe"
  deliver one two
  mbsync_conf "Create Both" "Remove Both" "Expunge Both"
  sync() { timeout 60 mbsync -q -c "$T/mbsyncrc" c; }
  sync
  for i in 1 2 3 4 5; do
    deliver "far$i"
    printf 'Subject: near%s\nMessage-ID: <n%s@x>\n\nx\n' $i $i > "$T/near/INBOX/cur/$i.M1.here:2,F"
    mkdir -p "$T/near/Dir$i/"{cur,new,tmp}
    sync
    has "INBOX near$i \\Flagged"; grep -lq "far$i" "$T"/near/INBOX/*/*
    # a flag here, a deletion there
    f=$(grep -l "Subject: far$i" "$T"/near/INBOX/*/*); mv "$f" "$T/near/INBOX/cur/$(basename "${f%%:2,*}"):2,S"
    as_user env -u MX_CONFIG /usr/bin/python3 - "$T/mail/joe" "near$i" <<'PY'
import sys, os; sys.path.insert(0, os.environ["ROOT"] + "/tests/mx-imapd")
from imap import *
c = preauth(sys.argv[1]); c.select()
n = c.cmd(f"SEARCH SUBJECT {sys.argv[2]}").ok().find(rb"SEARCH (\d+)").group(1).decode(); c.cmd(f"STORE {n} +FLAGS (\\Deleted)").ok(); c.cmd("EXPUNGE").ok()
PY
    sync
    has "INBOX far$i \\Seen"; ! grep -lq "near$i" "$T"/near/INBOX/*/*
  done
  state > "$T/a"; find "$T/near" -type f -path '*/cur/*' | sort > "$T/na"
  sync
  state > "$T/b"; find "$T/near" -type f -path '*/cur/*' | sort > "$T/nb"
  cmp "$T/a" "$T/b"; cmp "$T/na" "$T/nb"
}

@test "fetchmail and getmail over IMAP: each message once" {
  imap_serve
  as_user mkdir -p "$T/mail/joe"
  deliver one two
  cat > "$T/rc" <<CF
poll localhost protocol imap port $IMAPS username "joe@x.test" password "secret" ssl sslcertfile $T/localhost.crt keep mda "cat >> $T/got"
CF
  chmod 600 "$T/rc"
  FETCHMAILHOME=$T fetchmail -f "$T/rc" -N > "$T/out" 2>&1 || { cat "$T/out"; false; }
  deliver three
  FETCHMAILHOME=$T fetchmail -f "$T/rc" -N > "$T/out" 2>&1
  [ "$(grep -c '^body of' "$T/got")" -eq 3 ]
  has 'INBOX one \Seen'
  mkdir -p "$T/gm" "$T/in/"{cur,new,tmp}
  cat > "$T/gm/getmailrc" <<CF
[retriever]
type = SimpleIMAPSSLRetriever
server = localhost
port = $IMAPS
username = joe@x.test
password = secret
ca_certs = $T/localhost.crt
mailboxes = ("INBOX",)
[destination]
type = Maildir
path = $T/in/
$([ "$(id -u)" -ne 0 ] || { chown -R nobody: "$T/in"; echo "user = nobody"; })
[options]
read_all = false
delete = true
verbose = 0
delivered_to = false
received = false
CF
  for i in 1 2 3 4 5; do getmail --getmaildir "$T/gm" < /dev/null > "$T/out" 2>&1 && break; done
  [ "$(cat "$T"/in/*/* | grep -c '^body of')" -eq 3 ] || { cat "$T/out"; false; }
  hasnt 'INBOX'
}
