# What other sessions did since this one looked: a command acts on the files as
# they are, and news that could not be taken over is not forgotten.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

@test "stale view: a flag is set again that another session took away; no EXPUNGE of what was undeleted" {
  py <<'PY'
def there(): return sorted(f.split(":2,")[1] for f in os.listdir("m/cur"))
c = preauth("m")
for i in range(3): c.append("INBOX", b"Subject: s%d\r\n\r\nx\r\n" % i).ok()
c.select(); d = preauth("m"); d.select()
c.cmd("STORE 1:2 +FLAGS (\\Deleted)").ok(); c.cmd("STORE 3 +FLAGS (\\Seen kw)").ok(); d.cmd("NOOP").ok()
# d takes the flags away; c, which has not looked since, sets them
d.cmd("STORE 3 -FLAGS (\\Seen kw)").ok()
c.cmd("STORE 3 +FLAGS (\\Seen)").ok().find(rb"FLAGS \([^)]*\\Seen"); assert there() == ["S", "T", "T"], there()
d.cmd("NOOP").ok(); d.cmd("STORE 3 FLAGS ()").ok()
c.cmd("STORE 3 FLAGS (\\Seen)").ok(); assert there() == ["S", "T", "T"], there()
d.cmd("NOOP").ok(); d.cmd("STORE 3 FLAGS (\\Seen \\Flagged)").ok()
c.cmd("STORE 3 -FLAGS (\\Flagged)").ok(); assert there() == ["S", "T", "T"], there()
# undeleted by d, which was told so
d.cmd("STORE 1 -FLAGS (\\Deleted)").ok()
a = c.cmd("EXPUNGE").ok(); assert [l for l in a.lines if b"EXPUNGE" in l] == [b"* 2 EXPUNGE"], a.lines
assert there() == ["", "S"], there()
# the same by UID and at CLOSE
c.cmd("UID STORE 1 +FLAGS (\\Deleted)").ok(); d.cmd("NOOP").ok(); d.cmd("UID STORE 1 -FLAGS (\\Deleted)").ok()
c.cmd("UID EXPUNGE 1").ok().hasnt(b"EXPUNGE"); c.cmd("UID STORE 1 +FLAGS (\\Deleted)").ok(); d.cmd("NOOP").ok()
d.cmd("UID STORE 1 -FLAGS (\\Deleted)").ok(); c.cmd("CLOSE").ok(); assert there() == ["", "S"], there()
PY
}

@test "a scan goes on while another program renames or removes all of a large folder: it is not read for each message" {
  py <<'PY'
N = 1500
for s in "cur", "new", "tmp": os.makedirs("m/" + s)
for i in range(N): open(f"m/cur/{1700000000 + i}.h:2,", "w").write(f"Subject: s{i}\n\nx\n")
def scan(change, cmd):
    c = Process(["strace", "-f", "-o", "trace", "-e", "trace=getdents64", "mx-imapd", "--preauth", "--maildir", "m"])
    c.select()
    for f in sorted(os.listdir("m/cur")): change("m/cur/" + f)
    a = c.cmd(cmd); c.cmd("LOGOUT"); c.p.wait(20)
    reads = open("trace").read().count("getdents64(")
    assert reads < 400, f"{reads} times"
    return a
a = scan(lambda f: os.rename(f, f + "S"), "FETCH 1:* (FLAGS BODY.PEEK[HEADER])").ok()
assert len(a.lines) >= N and all(b"\\Seen" in l for l in a.lines if b"BODY" in l)
a = scan(lambda f: os.rename(f, f.replace("S", "F")), "SEARCH TEXT s14").ok()
assert len(a.find(rb"\* SEARCH(.*)").group(1).split()) == 111, a.lines
a = scan(lambda f: os.rename(f, f.replace("F", "FR")), "UID STORE 1:* -FLAGS (\\Flagged)").ok()
assert all(f.endswith(":2,R") for f in os.listdir("m/cur"))
a = scan(lambda f: os.unlink(f) if int(f[6:16]) % 2 else None, "FETCH 1:* (BODY.PEEK[HEADER])")
assert len([l for l in a.lines if b"BODY" in l]) == N // 2
c = preauth("m"); c.cmd("SELECT INBOX").ok().has(b"* %d EXISTS" % (N // 2))
PY
}

@test "news that could not be numbered (full disk, a lock) is taken over by the next look, of this session and of others" {
  py <<'PY'
SHIM = os.environ["MX_BUILD"] + "/lib/shim_fault.so"
def faulty(spec, path):
    if os.path.exists("state"): os.unlink("state")
    env = {**os.environ, "LD_PRELOAD": SHIM, "MX_FAULT": spec, "MX_FAULT_PATH": path, "MX_FAULT_STATE": T + "/state", "MX_LOG": T + "/log"}
    return Process(["mx-imapd", "--preauth", "--maildir", "m"], env=env)
T = os.environ["T"]
n = 1
c = preauth("m"); c.append("INBOX", b"Subject: s\r\n\r\nx\r\n").ok(); c.select(); c.cmd("LOGOUT")
for spec in "write:1:ENOSPC", "open:1:EACCES", "write:2:ENOSPC", "fsync:1:EIO", "write:1:short":
    for stay in True, False:
        time.sleep(0.05)
        c = faulty(spec, "dovecot-uidlist"); c.select()
        open(f"m/new/{1700000000 + n}.h", "w").write("Subject: s\n\nx\n"); n += 1
        a = c.cmd("NOOP").ok()
        time.sleep(0.05)
        if stay: c.cmd("NOOP").ok(); c.cmd("SEARCH ALL").ok().has(b"* SEARCH " + b" ".join(b"%d" % i for i in range(1, n + 1)))
        c.cmd("LOGOUT"); c.p.wait(20)
        c = preauth("m"); c.cmd("SELECT INBOX").ok().has(b"* %d EXISTS" % n); c.cmd("LOGOUT"); c.p.wait(20)
PY
}
