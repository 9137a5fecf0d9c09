#!/usr/bin/python3
"""spf_suite.py SUITE.yml.gz [TEST...]: runs the published test suite of RFC
7208 (Debian: python3-spf) through mx-dnscheck, with a name server of its own
that answers from each scenario's zone data; TIMEOUT there is SERVFAIL here, so
that nobody waits.  Prints a line a test; exit 1 when one differs."""
import gzip, json, os, socketserver, subprocess, sys, threading
import dns.flags, dns.message, dns.name, dns.rcode, dns.rdata, dns.rdataclass, dns.rdatatype, dns.rrset
import yaml

ZONE = {}


def load(zonedata):
    """name -> list of (type, value) or 'TIMEOUT'; SPF entries become TXT
    where the name has no TXT of its own."""
    zone = {}
    for name, entries in zonedata.items():
        out, spf, txt = [], [], False
        for e in entries:
            if e == "TIMEOUT":
                out.append(e)
                continue
            for t, v in e.items():
                if t == "SPF":
                    spf.append(("TXT", v))
                    continue
                txt |= t == "TXT"
                if v != "NONE":
                    out.append((t, v))
        zone[name.lower().rstrip(".")] = out if txt else spf + out
    return zone


def rdata(t, v):
    if t == "TXT":
        strings = [v] if isinstance(v, str) else v
        raw = b"".join(bytes([len(b)]) + b for b in (s.encode() for s in strings))
        return dns.rdata.from_wire("IN", "TXT", raw, 0, len(raw))
    if t == "MX":
        v = f"{v[0]} {v[1] or '.'}"
    if t in ("MX", "CNAME", "PTR") and not v.endswith("."):
        v += "."
    return dns.rdata.from_text("IN", t, v)


def answer(wire, tcp):
    q = dns.message.from_wire(wire)
    r = dns.message.make_response(q)
    r.flags |= dns.flags.RA
    name, rtype = q.question[0].name, dns.rdatatype.to_text(q.question[0].rdtype)
    for _ in range(10):
        text = b".".join(name.labels[:-1]).decode("latin1").lower()
        entries = ZONE.get(text)
        if entries is None:
            r.set_rcode(dns.rcode.SERVFAIL if text.startswith("error.") else dns.rcode.NXDOMAIN)
            break
        found = [rdata(t, v) for t, v in (e for e in entries if e != "TIMEOUT") if t == rtype and v != "TIMEOUT"]
        cname = [v for t, v in (e for e in entries if e != "TIMEOUT") if t == "CNAME"]
        if not found and not cname and ("TIMEOUT" in entries or (rtype, "TIMEOUT") in entries):
            r.set_rcode(dns.rcode.SERVFAIL)
        if found:
            r.answer.append(dns.rrset.from_rdata_list(name, 60, found))
        if found or not cname:
            break
        r.answer.append(dns.rrset.from_rdata(name, 60, rdata("CNAME", cname[0])))
        name = dns.name.from_text(cname[0])
    w = r.to_wire()
    if not tcp and len(w) > 1232:
        r.answer = []
        r.flags |= dns.flags.TC
        w = r.to_wire()
    return w


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        self.request[1].sendto(answer(self.request[0], False), self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        n = int.from_bytes(self.rfile.read(2), "big")
        w = answer(self.rfile.read(n), True)
        self.wfile.write(len(w).to_bytes(2, "big") + w)


def main():
    socketserver.TCPServer.allow_reuse_address = True
    udp = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Udp)
    port = udp.server_address[1]
    tcp = socketserver.ThreadingTCPServer(("127.0.0.1", port), Tcp)
    for s in (udp, tcp):
        s.daemon_threads = True
        threading.Thread(target=s.serve_forever, daemon=True).start()
    count = bad = 0
    for scenario in yaml.safe_load_all(gzip.open(sys.argv[1], "rb")):
        ZONE.clear()
        ZONE.update(load(scenario["zonedata"]))
        for name, t in scenario["tests"].items():
            if sys.argv[2:] and name not in sys.argv[2:]:
                continue
            count += 1
            run = subprocess.run(
                ["mx-dnscheck", "spf", f"--resolver=127.0.0.1:{port}", "--json", f"--ip={t['host']}",
                 f"--sender={t['mailfrom']}", f"--helo={t['helo']}", "-o", "myhostname=receiver.example"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
            want = t["result"] if isinstance(t["result"], list) else [t["result"]]
            try:
                got = json.loads(run.stdout)
            except ValueError:
                got = {"result": "-", "explanation": run.stderr}
            why = t.get("explanation")
            ok = got["result"] in want and (why in (None, "DEFAULT") or got["explanation"] == why) \
                and (why != "DEFAULT" or got["explanation"] == "")
            status = {"pass": 0, "temperror": 75, "permerror": 65}.get(got["result"], 1)
            ok = ok and run.returncode == status
            bad += not ok
            print(f"{'' if ok else 'not '}ok {count} - {name} ({t.get('spec')})")
            if not ok:
                print(f"# got {got} status {run.returncode}, want {want} {why!r}; {run.stderr}")
    print(f"1..{count}")
    sys.exit(bool(bad) or count == 0)


main()
