#!/usr/bin/env python3
"""The same mail history put to two policy servers: policy_compare.py PORT PORT SEED

Prints what differs.  Actions are compared with their words, but for names of
program, host and date in the X-Greylist field.
"""
import random, re, socket, sys

random.seed(int(sys.argv[3]))


class Server:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", int(port)), 20)
        self.f = self.s.makefile("r", encoding="latin1")

    def ask(self, attrs):
        self.s.sendall(("".join("%s=%s\n" % a for a in attrs) + "\n").encode("latin1"))
        line = self.f.readline().rstrip("\n")
        self.f.readline()
        return re.sub(r"by \S+ at \S+; .*", "by", line)


a, b = Server(sys.argv[1]), Server(sys.argv[2])
clients = ["192.0.2.%d" % i for i in (1, 2, 77)] + ["198.51.100.9", "203.0.113.5", "203.0.114.5", "10.1.2.3",
           "10.1.3.3", "2001:db8:1:2::%d" % 7, "2001:db8:1:2:ffff::8", "2001:db8:1:3::9", "172.16.9.9"]
clients += ["10.%d.%d.%d" % (i, i % 7, i % 5) for i in range(20, 250)] + ["2001:db8:%x:%x::1" % (i, i % 3) for i in range(9, 90)]
names = ["unknown", "mail.good.test", "good.test", "notgood.test", "x.pool.test", "MAIL.Good.Test", "a.list.test"]
senders = ["", "a@x.test", "A@X.TEST", "b@y.test", "bounce-123-456@l.test", "bounce-124-457@l.test", "c+ext@x.test",
           "c@x.test", "prvs=1234567890ab=joe@x.test", "prvs=joe=1234567890ab@x.test", "joe@x.test", "v1x2@x.test",
           "n@@odd", "plain", "x_12_y@x.test", "12@x.test"]
rcpts = ["joe@mx.test", "JOE@mx.test", "eve@mx.test", "abuse@mx.test", "postmaster+x@mx.test", "any@free.test",
         "any@sub.free.test", "any@notfree.test", "vip@mx.test", "vip+2@mx.test", "vipx@mx.test", "tester7@mx.test"]
now, bad, seen = 1_700_000_000, 0, 0
pairs = [(random.choice(clients), random.choice(names), random.choice(senders), random.choice(rcpts)) for _ in range(300)]
pairs += [(random.choice(clients[:12]), random.choice(names[:1]), random.choice(senders), random.choice(rcpts[:3])) for _ in range(150)]
for n in range(1500):
    # 35 days are not reached: postgrey forgets at night, we when it is time
    now += random.choice([0, 1, 30, 200, 299, 300, 301, 400, 3599, 3601]) if n % 300 else 173000
    client, name, sender, rcpt = random.choice(pairs) if random.random() < .9 else (
        random.choice(clients), random.choice(names), random.choice(senders), random.choice(rcpts))
    attrs = [("request", "smtpd_access_policy"), ("protocol_state", "RCPT"), ("client_address", client),
             ("client_name", name), ("sender", sender), ("recipient", rcpt), ("instance", "%d.%d" % (n, now)),
             ("policy_test_time", now)]
    if n % 2:
        attrs.append(("etrn_domain", ""))
    x, y = a.ask(attrs), b.ask(attrs)
    seen += x.startswith("action=DUNNO")
    if x != y:
        bad += 1
        if bad < 10:
            print(n, now, attrs[2:6], x, y, sep="\n  ")
print("%d questions, %d differ, %d passed" % (n + 1, bad, seen))
sys.exit(bad > 0 or not 100 < seen < 1400)
