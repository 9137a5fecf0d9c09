# What is done whole or not at all, and tags that codes repeat.
load ../lib/common
load imap
setup() { common_setup; }
teardown() { common_teardown; }

# py_faulty: py with faulty(SPEC, PATH): a server whose calls on PATH fail
py_faulty() {
  { cat <<'PY'
T = os.environ["T"]
def faulty(spec, path):
    if os.path.exists("state"): os.unlink("state")
    return Process(["mx-imapd", "--preauth", "--maildir", "m"], env={**os.environ, "LD_PRELOAD": os.environ["MX_BUILD"] + "/lib/shim_fault.so",
        "MX_FAULT": spec, "MX_FAULT_PATH": path, "MX_FAULT_STATE": T + "/state", "MX_LOG": T + "/log"})
PY
    cat; } > "$T/faulty.py"
  py < "$T/faulty.py"
}

@test "REPLACE whose old message cannot be removed leaves no new one" {
  py_faulty <<'PY'
c = preauth("m"); c.append("INBOX", b"Subject: old\r\n\r\nx\r\n", "(\\Seen)").ok(); c.select(); c.end()
name = files("m")[0]
c = faulty("unlinkat:1+:EIO", name.split(":")[0]); c.select()
new = b"Subject: new\r\n\r\nx\r\n"
c.cmd("REPLACE 1 INBOX \0%", new).no().hasnt(b"APPENDUID"); assert files("m") == [name], files("m")
c.cmd("NOOP").ok(); c.end()
c = preauth("m"); c.select().has(b"* 1 EXISTS")
a = c.cmd("REPLACE 1 INBOX \0%", new).ok(); a.find(rb"APPENDUID"); a.find(rb"EXPUNGE"); assert len(files("m")) == 1 and files("m") != [name]
PY
}

@test "CREATE whose special use cannot be written leaves no mailbox; one that is there stays" {
  py_faulty <<'PY'
c = preauth("m"); c.append("INBOX", b"Subject: old\r\n\r\nx\r\n").ok(); c.end()
c = faulty("write|fsync|rename|renameat:1+:EIO", "mx-metadata"); c.cmd("CREATE Sent (USE (\\Sent))").no(); c.cmd('LIST "" *').ok().hasnt(b"Sent"); c.end()
assert [d for d in os.listdir("m") if d.startswith(".")] == [], os.listdir("m")
c = preauth("m"); c.cmd("CREATE Sent (USE (\\Sent))").ok(); c.cmd('LIST (SPECIAL-USE) "" *').ok().find(rb"\\Sent.*Sent")
c.cmd("CREATE Sent (USE (\\Drafts))").no(b"ALREADYEXISTS"); c.cmd("STATUS Sent (MESSAGES)").ok()
PY
}

@test "a tag that no code could repeat in one line is none" {
  py <<'PY'
c = preauth("m"); c.append("INBOX", b"Subject: old\r\n\r\nx\r\n").ok(); c.select()
c.send(b"a" * 255 + b" NOOP\r\n"); assert c.line().startswith(b"a" * 255 + b" OK")
for n in 256, 1500:
    c.send(b"b" * n + b" SEARCH RETURN (UPDATE) ALL\r\n"); a = c.line(); assert a.startswith(b"* BAD"), a
c.cmd("NOOP").ok()
PY
}
