"""table_peer.py PORT tcp|socketmap MODE: a server of tcp_table(5) or
socketmap_table(5) that behaves as told; each question is a line of stdout."""
import socket, sys, threading, time

port, proto, mode = sys.argv[1:]
DATA = {"jo@example.org": "jo smith/", "per%cent": "100%\tsure", "list": "a,b"}


def verdict(key):
    if mode == "temp":
        return "400 not%20now" if proto == "tcp" else "TEMP not now"
    if mode == "perm":
        return "400 broken" if proto == "tcp" else "PERM broken"
    v = DATA.get(key)
    if proto == "tcp":
        return "500 not%20found" if v is None else "200 " + "".join(
            "%%%02X" % ord(c) if c in " %\t\n" else c for c in v)
    return "NOTFOUND " if v is None else "OK " + v


def unquote(s):
    import urllib.parse
    return urllib.parse.unquote(s)


def serve(c):
    f = c.makefile("rwb")
    while True:
        if proto == "tcp":
            l = f.readline().decode()
            if not l:
                return
            key = unquote(l.rstrip("\n").split(" ", 1)[1])
        else:
            n = b""
            while not n.endswith(b":"):
                b = f.read(1)
                if not b:
                    return
                n += b
            body = f.read(int(n[:-1]) + 1).decode()
            name, key = body[:-1].split(" ", 1)
            assert body[-1] == "," and name == "users"
        print(key, flush=True)
        if mode == "silent":
            time.sleep(600)
        if mode == "drop":
            break
        if mode == "garbage":
            f.write(b"HTTP/1.1 400 what\r\n\r\n")
        elif mode == "huge":
            f.write(b"999999999:" if proto == "socketmap" else b"200 " + b"x" * 100000)
        elif proto == "tcp":
            f.write(verdict(key).encode() + b"\n")
        else:
            v = verdict(key).encode()
            f.write(b"%d:%s," % (len(v), v))
        f.flush()
        if mode == "once":
            break
    c.shutdown(socket.SHUT_RDWR)
    c.close()


l = socket.socket() if port.isdigit() else socket.socket(socket.AF_UNIX)
l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
l.bind(("127.0.0.1", int(port)) if port.isdigit() else port)
l.listen(20)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
