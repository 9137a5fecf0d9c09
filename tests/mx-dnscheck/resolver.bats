# mx-dnscheck and a resolver that misbehaves: never "no", never without an end.
load ../lib/common
bats_require_minimum_version 1.5.0

setup() { common_setup; : > "$T/mx.conf"; export MX_CONFIG=$T/mx.conf; }
teardown() { common_teardown; }

# resolver MODE: silent | cut | forged
resolver() {
  cat > "$T/dns.py" <<'PY'
import socket, struct, sys, threading
mode = sys.argv[1]
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 0))
port = u.getsockname()[1]
t = socket.socket(); t.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); t.bind(("127.0.0.1", port)); t.listen(5)
open(sys.argv[2], "w").write(str(port))
def question(q): return q[12:q.index(b"\0", 12) + 5]
def answer(q, tc=0):
    txt = b"v=spf1 ip4:192.0.2.1 -all"
    rr = b"\xc0\x0c" + struct.pack(">HHIH", 16, 1, 60, len(txt) + 1) + bytes([len(txt)]) + txt
    return q[:2] + struct.pack(">HHHHH", 0x8180 | (0x200 if tc else 0), 1, 1, 0, 0) + question(q) + rr
def tcp():
    while True:
        c, _ = t.accept()
        q = c.recv(4096)[2:]; a = answer(q)
        c.sendall(struct.pack(">H", len(a)) + a); c.close()
threading.Thread(target=tcp, daemon=True).start()
while True:
    q, who = u.recvfrom(4096)
    if mode == "cut": u.sendto(answer(q, 1)[:-9], who)
    if mode == "forged":
        # another id, another question, no answer at all; then the true one
        u.sendto(bytes([q[0] ^ 1]) + answer(q)[1:].replace(b"+all", b"-all"), who)
        u.sendto(answer(q).replace(b"\x04test", b"\x04evil"), who)
        u.sendto(q, who); u.sendto(b"", who); u.sendto(q[:5], who)
        u.sendto(answer(q), who)
PY
  spawn python3 "$T/dns.py" "$1" "$T/port"
  wait_for 10 test -s "$T/port"
  R="--resolver 127.0.0.1:$(cat "$T/port")"
}
spf() { timeout 100 mx-dnscheck spf $R --ip 192.0.2.1 --sender u@ex.test --helo h; }

@test "an answer that is cut inside of a record is asked for over TCP" {
  resolver cut
  run -0 spf
  [[ $output == pass* ]]
}

@test "what does not answer the question is passed over" {
  resolver forged
  run -0 spf
  [[ $output == pass* ]]
}

@test "a resolver that never answers: temperror, 75, after a while" {
  resolver silent
  run -75 spf
  [[ $output == *temperror* ]]
}
