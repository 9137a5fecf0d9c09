#!/usr/bin/env bats
# DATA goes with the last RCPT where the server does PIPELINING (RFC 2920 3.1),
# and whatever the server makes of it, replies and commands stay in step.
load ../lib/common
load ../lib/send
setup() { common_setup; }
teardown() { common_teardown; }

msg() { printf 'Subject: x\n\nbody\n'; }

# serve CAPS [LINE=REPLY...]: each word that came in one piece on a line of
# $T/got ("MAIL+RCPT+DATA"), messages as "message: LINES"; REPLY for the command
# that begins with LINE
serve() {
  PEER=$(free_port)
  : > "$T/got"
  spawn python3 -c '
import socket, sys, time
port, got, caps = int(sys.argv[1]), sys.argv[2], sys.argv[3].split()
special = dict(a.split("=", 1) for a in sys.argv[4:])
l = socket.create_server(("127.0.0.1", port))
def out(s): open(got, "a").write(s + "\n")
while True:
    c, _ = l.accept()
    c.sendall(b"220 peer ESMTP\r\n")
    buf, body, some = b"", None, False
    while True:
        d = c.recv(65536)
        if not d: break
        time.sleep(0.1)  # what is on its way in the same breath is here then
        try: d += c.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError: pass
        buf += d
        words, answer = [], b""
        while b"\r\n" in buf:
            line, buf = buf.split(b"\r\n", 1)
            line = line.decode()
            if body is not None:
                if line == ".":
                    out("message: " + "|".join(body)); answer += b"250 2.0.0 taken\r\n" if some else b"554 5.5.1 nobody\r\n"; body = None
                else: body.append(line)
                continue
            words.append(line.split(" ")[0])
            r = next((v for k, v in special.items() if line.startswith(k)), None)
            if words[-1] == "EHLO": r = "\r\n".join(["250-peer"] + ["250-" + x.replace("_", " ") for x in caps] + ["250 HELP"])
            if words[-1] == "DATA" and (r or "354").startswith("354"): r = r or ("354 go" if some else "554 5.5.1 no recipients"); body = [] if r.startswith("354") else None
            if words[-1] == "MAIL": some = False
            if words[-1] == "RCPT" and not r: some = True
            answer += (r or ("221 bye" if words[-1] == "QUIT" else "250 2.0.0 ok")).encode() + b"\r\n"
            if r and r.startswith("421"): break
        if words: out("+".join(words))
        c.sendall(answer)
        if b"221" in answer[:3] or b"421" in answer: break
    c.close()
' "$PEER" "$T/got" "$@"
  wait_listen "$PEER"
}
got() { diff <(printf '%s\n' "$@") <(grep -v EHLO "$T/got"); }

@test "with PIPELINING the envelope and DATA are one piece; without it each waits" {
  serve PIPELINING
  run send --host "127.0.0.1:$PEER" a@x.example b@x.example < <(msg)
  [ "$status" -eq 0 ]
  got MAIL+RCPT+RCPT+DATA "message: Subject: x||body" QUIT
  serve 8BITMIME
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [ "$status" -eq 0 ]
  got MAIL RCPT DATA "message: Subject: x||body" QUIT
}

@test "a probe asks for no DATA; with CHUNKING BDAT stays" {
  serve PIPELINING
  run send --probe --host "127.0.0.1:$PEER" a@x.example
  [ "$status" -eq 0 ]
  got MAIL+RCPT QUIT
  serve "PIPELINING CHUNKING" BDAT="550 5.5.0 not with me"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  grep -q '^MAIL+RCPT$' "$T/got"; grep -q '^BDAT' "$T/got"
}

@test "many recipients: DATA with the last batch alone" {
  serve PIPELINING
  run send --host "127.0.0.1:$PEER" $(seq -f 'u%g@x.example' 120) < <(msg)
  [ "$status" -eq 0 ]
  [ "$(grep -c DATA "$T/got")" -eq 1 ]
  [ "$(grep DATA "$T/got" | tr + '\n' | grep -c RCPT)" -eq 20 ]
  [ "$(grep -c message: "$T/got")" -eq 1 ]
}

@test "all refused: 554 to DATA is read; a server that wants a message all the same gets a dot and nothing else" {
  serve PIPELINING "RCPT TO:<a=550 5.1.1 no"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [ "$status" -eq 69 ]
  [[ "$output" == *"a@x.example bounced 5.1.1"* ]]
  got MAIL+RCPT+DATA QUIT
  serve PIPELINING "RCPT TO:<a=550 5.1.1 no" "DATA=354 do"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [ "$status" -eq 69 ]
  got MAIL+RCPT+DATA "message: " QUIT
}

@test "some refused: the others have it; 503 to DATA: nobody" {
  serve PIPELINING "RCPT TO:<a=450 4.2.1 later"
  run send --host "127.0.0.1:$PEER" a@x.example b@x.example < <(msg)
  [ "$status" -eq 75 ]
  [[ "$output" == *"a@x.example deferred 4.2.1"* ]]; [[ "$output" == *"b@x.example sent 2.0.0"* ]]
  got MAIL+RCPT+RCPT+DATA "message: Subject: x||body" QUIT
  serve PIPELINING "DATA=451 4.3.0 not now"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [[ "$output" == *"a@x.example deferred 4.3.0"* ]]
  got MAIL+RCPT+DATA QUIT
}

@test "MAIL refused: the replies behind it are read, and the next transaction's verdicts are its own" {
  serve PIPELINING "MAIL=550 5.1.8 not you" "RCPT=503 5.5.1 no mail" "DATA=503 5.5.1 no mail"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [ "$status" -eq 69 ]
  [[ "$output" == *"a@x.example bounced 5.1.8"* ]]
  got MAIL+RCPT+DATA QUIT
  # a server that does without MAIL gets no dot: it may know recipients
  serve PIPELINING "MAIL=550 5.1.8 not you" "DATA=354 do"
  run send --host "127.0.0.1:$PEER" a@x.example < <(msg)
  [[ "$output" == *"a@x.example bounced 5.1.8"* ]]
  got MAIL+RCPT+DATA
  # RFC 9422: a recipient a message, over one connection
  serve "PIPELINING LIMITS_RCPTMAX=1" "MAIL=452 4.3.1 full" "RCPT=503 5.5.1 no mail" "DATA=503 5.5.1 no mail"
  run send --host "127.0.0.1:$PEER" a@x.example b@x.example < <(msg)
  echo "$output"
  [ "$(grep -c 'deferred 4.3.1' <<< "$output")" -eq 2 ]
  ! grep 5.5.1 <<< "$output"
}

@test "421 to a recipient behind which DATA waits: no word follows DATA" {
  serve PIPELINING "RCPT TO:<b=421 4.3.2 going"
  run send --host "127.0.0.1:$PEER" a@x.example b@x.example < <(msg)
  [ "$status" -eq 75 ]
  [[ "$output" == *"b@x.example deferred 4.3.2"* ]]
  ! grep message: "$T/got"
}
