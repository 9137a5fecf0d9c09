"""reports.py DIR: sample reports of every kind and packing, and hostile ones."""
import gzip, io, json, os, sys, zipfile
from email.message import EmailMessage

d = sys.argv[1]


def put(name, data):
    os.makedirs(os.path.dirname(f"{d}/{name}"), exist_ok=True)
    open(f"{d}/{name}", "wb").write(data)


def record(ip, count, dispo, dkim, spf, frm="example.org", auth=""):
    return f"""<record><row><source_ip>{ip}</source_ip><count>{count}</count><policy_evaluated>
<disposition>{dispo}</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row>
<identifiers><header_from>{frm}</header_from></identifiers><auth_results>{auth}</auth_results></record>"""


def aggregate(records, ns="", extra="", rid="r1"):
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<feedback{ns}>{extra}<report_metadata><org_name>google.com</org_name><email>noreply@google.com</email>
<report_id>{rid}</report_id><date_range><begin>1763596800</begin><end>1763683199</end></date_range></report_metadata>
<policy_published><domain>example.org</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>none</sp></policy_published>
{records}</feedback>""".encode()


dk = lambda dom, res, sel="s": f"<dkim><domain>{dom}</domain><selector>{sel}</selector><result>{res}</result></dkim>"
sp = lambda dom, res: f"<spf><domain>{dom}</domain><result>{res}</result></spf>"
old = aggregate(
    record("192.0.2.1", 120, "none", "pass", "pass", auth=dk("example.org", "pass") + sp("example.org", "pass"))
    + record("192.0.2.2", 30, "none", "pass", "fail", auth=dk("x.test", "fail") + dk("example.org", "pass", "t") + sp("fwd.test", "pass"))
    + record("198.51.100.7", 5, "reject", "fail", "fail", auth=sp("evil.test", "fail"))
    + record("2001:db8::5", 2, "quarantine", "fail", "fail", auth=dk("lists.test", "pass")))
new = aggregate(record("192.0.2.1", 7, "none", "pass", "pass", auth=dk("example.org", "pass")),
                ns=' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"', extra="<version>1.0</version>", rid="r2").replace(
    b"</sp>", b"</sp><np>reject</np><testing>n</testing><discovery_method>treewalk</discovery_method>")
tls = json.dumps({
    "organization-name": "Company-X", "date-range": {"start-datetime": "2026-11-20T00:00:00Z", "end-datetime": "2026-11-20T23:59:59Z"},
    "contact-info": "sts@company-x.example", "report-id": "5065427c-23d3", "policies": [{
        "policy": {"policy-type": "sts", "policy-string": ["version: STSv1", "mode: testing"], "policy-domain": "example.org", "mx-host": ["*.mail.example.org"]},
        "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
        "failure-details": [{"result-type": "certificate-expired", "sending-mta-ip": "2001:db8:abcd:0012::1", "receiving-mx-hostname": "mx1.example.org", "failed-session-count": 100},
                            {"result-type": "starttls-not-supported", "sending-mta-ip": "2001:db8:abcd:0013::1", "receiving-mx-hostname": "mx2.example.org", "failed-session-count": 200,
                             "additional-information": "caf\u00e9 \ud83d\ude00"}]}]}).encode()


def zipped(data, name="r.xml", method=zipfile.ZIP_DEFLATED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, "w", method) as z:
        z.writestr(name, data)
    return b.getvalue()


def mail(data, maintype, subtype, filename, text=True):
    m = EmailMessage()
    m["From"], m["To"], m["Subject"] = "noreply@google.com", "d@example.org", "Report domain: example.org"
    if text:
        m.set_content("A report is attached.")
        m.add_attachment(data, maintype=maintype, subtype=subtype, filename=filename)
    else:
        m.set_content(data, maintype=maintype, subtype=subtype, filename=filename)
    return m.as_bytes()


put("good/old.xml", old)
put("good/new.xml", new)
put("good/old.xml.gz", gzip.compress(old))
put("good/old.zip", zipped(old))
put("good/stored.zip", zipped(old, method=zipfile.ZIP_STORED))
put("good/utf16.xml", old.replace(b"UTF-8", b"UTF-16").decode().encode("utf-16"))
put("good/bom.xml", b"\xef\xbb\xbf" + old)
put("good/tls.json", tls)
put("good/tls.json.gz", gzip.compress(tls))
# JSON's members come in any order
put("turned.json", json.dumps(json.loads(tls), sort_keys=True).encode())
put("good/gzip.eml", mail(gzip.compress(old), "application", "gzip", "google.com!example.org!1!2.xml.gz"))
put("good/zip.eml", mail(zipped(old), "application", "zip", "x.zip"))
put("good/bare.eml", mail(gzip.compress(old), "application", "gzip", "x.gz", text=False))
put("good/xml.eml", mail(old, "application", "xml", "x.xml"))
put("good/octet.eml", mail(zipped(old), "application", "octet-stream", "x.bin"))
put("good/tls.eml", mail(gzip.compress(tls), "application", "tlsrpt+gzip", "x.json.gz"))
arf = b"""From: <abusedesk@example.com>
To: <dmarc@example.org>
Subject: FW: Earn money
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: auth-failure
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <someuser@evil.test>
Arrival-Date: Thu, 8 Oct 2026 20:04:05 +0000
Source-IP: 192.0.2.66
Reported-Domain: example.org
Auth-Failure: dkim
Delivery-Result: reject
Identity-Alignment: none

--b
Content-Type: text/rfc822-headers

From: Boss <boss@example.org>
Subject: Earn money
Message-ID: <8787KJKJ3K4J3K4J3K4J3@evil.test>

--b--
"""
put("good/failure.eml", arf)
put("good/failure-whole.eml", arf.replace(b"text/rfc822-headers", b"message/rfc822"))
for n, data in (("1", mail(gzip.compress(old), "application", "gzip", "x.gz")), ("2:2,S", arf)):
    put(("maildir/new/" if n == "1" else "maildir/cur/") + n, data)
os.makedirs(f"{d}/maildir/tmp")

# hostile or no report at all
put("bad/empty", b"")
put("bad/text", b"hello\n")
put("bad/noreport.eml", b"From: a@b\nSubject: x\n\nhello\n")
put("bad/other.xml", b"<html><body>x</body></html>")
put("bad/cut.xml", old[:len(old) // 2])
put("bad/cut.gz", gzip.compress(old)[:100])
put("bad/cut.zip", zipped(old)[:60])
put("bad/zip-head", b"PK\x03\x04")
put("bad/dtd.xml", old.replace(b"<feedback>", b'<!DOCTYPE feedback SYSTEM "file:///etc/passwd"><feedback>'))
put("bad/xxe.xml", old.replace(b"<feedback>", b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>').replace(b"google.com<", b"&x;<", 1))
put("bad/xxe16.xml", old.replace(b"UTF-8", b"UTF-16").replace(b"<feedback>", b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feedback>').replace(b"google.com<", b"&x;<", 1).decode().encode("utf-16"))
laughs = b'<!DOCTYPE f [<!ENTITY a "ha">' + b"".join(b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 10) for c in range(98, 110)) + b"]><feedback>"
put("bad/laughs.xml", old.replace(b"<feedback>", laughs).replace(b"google.com<", b"&m;<", 1))
put("bad/deep.xml", b"<feedback>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</feedback>")
bomb = gzip.compress(b"<feedback>" + b" " * (150 << 20))
put("bad/bomb.gz", bomb)
put("bad/bomb.zip", zipped(b" " * (150 << 20)))
put("bad/bomb.eml", mail(bomb, "application", "gzip", "x.gz"))
put("bad/twice.gz", gzip.compress(gzip.compress(old)))
put("bad/twice.zip", zipped(zipped(old)))
put("bad/array.json", b"[1,2]")
put("bad/other.json", b'{"a":1}')
put("bad/cut.json", tls[:200])
put("bad/deep.json", b"[" * 100000)
put("bad/deep2.json", b'{"a":' * 1000)
put("bad/string.json", b'{"a":"\\ud800\\x"}')
put("bad/arf.eml", arf.replace(b"Feedback-Type", b"X-Feedback"))
