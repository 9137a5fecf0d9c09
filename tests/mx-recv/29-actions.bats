# access(5): every action, in tables of every type that Postfix has for it.
load ../lib/common
load recv

setup() { common_setup; recv_conf "smtpd_peername_lookup = no" "mynetworks ="; deliver_start; }
teardown() { common_teardown; }

# key, action, and what RCPT hears with the action for the sender
cases='ok@x.test	OK	250 2.1.5
number@x.test	12345	250 2.1.5
reject@x.test	REJECT	554 5.7.1 <reject@x.test>: Sender address rejected: Access denied
rejtext@x.test	REJECT go away	554 5.7.1 <rejtext@x.test>: Sender address rejected: go away
rejcode@x.test	REJECT 5.7.9 go away	554 5.7.9 <rejcode@x.test>: Sender address rejected: go away
defer@x.test	DEFER	450 4.7.1 <defer@x.test>: Sender address rejected: Access denied
defertext@x.test	DEFER 4.7.8 not now	450 4.7.8 <defertext@x.test>: Sender address rejected: not now
four@x.test	452 too much	452 4.7.1 <four@x.test>: Sender address rejected: too much
five@x.test	553 5.1.7 no such	553 5.1.7 <five@x.test>: Sender address rejected: no such
hold@x.test	HOLD	250 2.1.5
holdtext@x.test	HOLD for a look	250 2.1.5
discard@x.test	DISCARD quietly	250 2.1.5
redirect@x.test	REDIRECT else@mx.test	250 2.1.5
prepend@x.test	PREPEND X-Seen: yes	250 2.1.5
filter@x.test	FILTER smtp:[127.0.0.1]:26	250 2.1.5
bcc@x.test	BCC copy@mx.test	250 2.1.5
warn@x.test	WARN be careful	250 2.1.5
info@x.test	INFO just so	250 2.1.5
dunno@x.test	DUNNO	250 2.1.5
difr@x.test	DEFER_IF_REJECT later	250 2.1.5
difp@x.test	DEFER_IF_PERMIT later	450 4.7.1 <difp@x.test>: Sender address rejected: later
name@x.test	reject	554 5.7.1 <name@x.test>: Sender address rejected: Access denied
list@x.test	permit_mynetworks, reject	554 5.7.1 <list@x.test>: Sender address rejected: Access denied
class@x.test	strangers	554 5.7.1 <class@x.test>: Sender address rejected: Access denied'

# table TYPE: the cases as such a table; prints TYPE:NAME
table() {
  local f=$T/t.$1
  case $1 in
  texthash) echo "$cases" | awk -F'\t' '{ print $1 "\t" $2 }' > "$f" ;;
  hash | btree | cdb | lmdb) echo "$cases" | awk -F'\t' '{ print $1 "\t" $2 }' > "$f"
    postmap -c "$T/pf" "$1:$f" 2>/dev/null || true ;; # as on a host that comes from Postfix
  regexp | pcre) echo "$cases" | awk -F'\t' '{ gsub(/\./, "\\.", $1); print "/^" $1 "$/\t" $2 }' > "$f" ;;
  inline) printf 'inline:{'; echo "$cases" | awk -F'\t' '{ printf " {%s = %s}", $1, $2 }'; printf '}'; return ;;
  unionmap) table texthash > /dev/null; printf 'unionmap:{static:%s,texthash:%s}' DUNNO "$T/none"; return ;;
  sqlite)
    echo "$cases" | awk -F'\t' 'BEGIN { print "create table t (k text primary key, v text);" } { print "insert into t values (\047" $1 "\047,\047" $2 "\047);" }' | sqlite3 "$T/t.db"
    printf 'dbpath = %s\nquery = SELECT v FROM t WHERE k = \047%%s\047\n' "$T/t.db" > "$T/t.sqlite.cf"; chmod 644 "$T/t.db"
    printf 'sqlite:%s' "$T/t.sqlite.cf"; return ;;
  esac
  printf '%s:%s' "$1" "$f"
}

# ask FILE-OF-CASES SENDER-COLUMN: every case in one connection
ask() {
  python3 - "$PORT" <<PY
import smtplib, sys
s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "me.test", 30); s.ehlo()
bad = 0
for line in """$cases""".split("\n"):
    key, action, want = line.split("\t")
    s.docmd("MAIL FROM:<%s>" % key)
    code, text = s.docmd("RCPT TO:<b@mx.test>")
    got = "%d %s" % (code, text.decode())
    if not got.startswith(want): print(sys.argv[1], action, "|", got, "| wanted", want); bad += 1
    s.rset()
sys.exit(bad)
PY
}

@test "each of 24 actions in each of nine types of table" {
  mkdir "$T/pf"; echo "compatibility_level = 3.6" > "$T/pf/main.cf"
  for type in texthash hash btree cdb lmdb regexp pcre inline sqlite; do
    t=$(table $type)
    printf '%s\n' "smtpd_restriction_classes = strangers" "strangers = permit_mynetworks, reject" \
      "smtpd_sender_restrictions = check_sender_access $t" > "$T/more"
    cp "$T/mx.conf" "$T/base"; cat "$T/more" >> "$T/mx.conf"
    recv_start
    echo "$type"; ask
    kill "$RECV"; wait "$RECV" 2>/dev/null || true
    cp "$T/base" "$T/mx.conf"
  done
}

@test "cidr tables: the same actions by client address, IPv4 and IPv6" {
  n=0
  : > "$T/c"
  while IFS=$'\t' read -r key action want; do
    n=$((n + 1)); printf '127.0.1.%d/32 %s\n' $n "$action"
  done <<<"$cases" > "$T/c"
  printf '!127.0.0.0/8 REJECT not from here\n::1 REJECT six\n' >> "$T/c"
  printf '%s\n' "smtpd_restriction_classes = strangers" "strangers = permit_mynetworks, reject" \
    "smtpd_client_restrictions = check_client_access cidr:$T/c" >> "$T/mx.conf"
  recv_start
  python3 - "$PORT" <<PY
import smtplib, sys
bad = 0
for n, line in enumerate("""$cases""".split("\n")):
    key, action, want = line.split("\t")
    a = "127.0.1.%d" % (n + 1)
    want = want.replace("<%s>: Sender address" % key, "<unknown[%s]>: Client host" % a)
    s = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), "me.test", 30, (a, 0)); s.ehlo()
    s.docmd("MAIL FROM:<a@x.test>")
    code, text = s.docmd("RCPT TO:<b@mx.test>")
    got = "%d %s" % (code, text.decode())
    if not got.startswith(want): print(action, "|", got, "| wanted", want); bad += 1
    s.close()
sys.exit(bad)
PY
}
