"""Tables and messages for headers_peer.py."""
MESSAGES = {
    "plain": b"""Received: from a (b)
	by c; Tue, 1 Apr 1997 09:06:31 -0800
From: Anna <anna@example.net>
To: user@example.org
Subject: old news, folded
	and folded
 again
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
Message-ID: <1@example.net>
X-Long: """ + b"x" * 300 + b"""
X-Empty:
x-lower: \xc3\xa9t\xc3\xa9 \xe9

first line
From somewhere
viagra here
Subject: in the body
.dot
last line
""",
    "mime": b"""From: Anna <anna@example.net>
To: user@example.org
Subject: with parts
Date: Tue, 1 Apr 1997 09:06:31 -0800 (PST)
Message-ID: <2@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed;
	boundary="xx"
Content-Language: en

preamble
--xx
Content-Type: text/plain; charset=utf-8
Content-Disposition: inline
X-Part: one

viagra here
--xx
Content-Type: application/octet-stream;
	name="virus.exe"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="virus.exe"

QUJDRA==
--xx
Content-Type: message/rfc822
X-Part: two

Subject: inner
From: inner@example.net
MIME-Version: 1.0
X-Inner: yes
Content-Type: multipart/alternative; boundary=yy

--yy
Content-Type: text/html

the inner body
--yy
X-Part: three

no type
--yy--
epilogue of yy
--xx--
epilogue
""",
}
A = None
CASES = [
    # what each action does, header and body
    ({"header": "/^Subject: nothing/ REJECT\n"}, A),
    ({"header": "/^Subject:/ REJECT\n"}, A),
    ({"header": "/^Subject:/ REJECT no old news\n"}, A),
    ({"header": "/^Subject:/ reject 5.7.0 go away\n"}, ["plain"]),
    ({"header": "/^Subject:/ REJECT 4.7.0 come later\n"}, ["plain"]),
    ({"header": "/^Subject:/ WARN\n/^To:/ WARN with words\n"}, A),
    ({"header": "/^Subject:/ INFO\n/^To:/ INFO with words\n"}, A),
    ({"header": "/^Subject:/ IGNORE\n/^To:/ IGNORE with words\n"}, A),
    ({"header": "/^Subject:/ STRIP\n/^X-Long:/ STRIP with words\n"}, A),
    ({"header": "/^Subject: (.*)/ REPLACE Subject: [$1]\n"}, A),
    ({"header": "/^To: (.*)/ REPLACE X-To: $1\n/^X-Empty/ REPLACE nothing like a header\n"}, A),
    ({"header": "/^Subject: / PREPEND X-Before: subject\n/^To:/ PREPEND no header\n"}, A),
    ({"header": "/^Subject: / HOLD\n"}, A),
    ({"header": "/^Subject: / HOLD to look at\n/^To:/ HOLD again\n"}, A),
    ({"header": "/^Subject: / DISCARD\n/^X-/ WARN not seen\n"}, A),
    ({"header": "/^Subject: / DISCARD with words\n"}, A),
    ({"header": "/^Subject: / REDIRECT other@example.org\n"}, A),
    ({"header": "/^From: / REDIRECT one@example.org\n/^Subject: / REDIRECT two@example.org\n"}, A),
    ({"header": "/^Subject: / REDIRECT nobody\n"}, A),
    ({"header": "/^Subject: / FILTER smtp:[127.0.0.1]:9\n"}, A),
    ({"header": "/^From:/ FILTER smtp:a.example\n/^Subject: / FILTER error:\n"}, A),
    ({"header": "/^Subject: / FILTER nothing\n/^To:/ FILTER\n"}, A),
    ({"header": "/^Subject: / FILTER smtp:a.example\n/^To:/ REDIRECT a@b.example\n"}, A),
    ({"header": "/^Subject: / BCC boss@example.org\n/^To:/ BCC boss@example.org\n/^From/ BCC second@example.org\n"}, A),
    ({"header": "/^Subject: / BCC boss\n/^To:/ BCC\n"}, A),
    ({"header": "/^From/ DUNNO\n/^(From|To|Subject)/ WARN\n/^X-Empty/ OK\n"}, A),
    ({"header": "/^From/ PASS\n/^(From|To|Subject)/ WARN\n", "body": "/./ WARN body\n"}, A),
    ({"header": "/^From/ PASS trusted\n", "body": "/./ WARN body\n"}, A),
    ({"header": "/^From/ NONSENSE with words\n/^Subject/ WARN x\n"}, A),
    ({"header": "/^From/ WARN one\n/^From/ WARN two\n/^./ WARN all\n"}, A),
    ({"header": "/^Subject/ reDirect Some.One@Example.ORG\n/^to:/ prePend X: y\n"}, A),
    # body
    ({"body": "/viagra/ REJECT\n"}, A),
    ({"body": "/viagra/ REJECT no\n"}, A),
    ({"body": "/viagra/ WARN\n/last|epilogue/ INFO words\n"}, A),
    ({"body": "/viagra/ IGNORE\n/last|epilogue/ STRIP words\n"}, A),
    ({"body": "/viagra/ REPLACE aspirin\n/^(first|preamble)/ PREPEND above $1\n"}, A),
    ({"body": "/viagra/ HOLD\n/line/ BCC b@example.org\n/dot/ REDIRECT r@example.org\n"}, A),
    ({"body": "/viagra/ DISCARD\n/last|epilogue/ WARN no\n"}, A),
    ({"body": "/viagra/ PASS\n/last|epilogue/ WARN no\n"}, A),
    ({"body": "/viagra/ FILTER smtp:there\n/^\\.dot/ REPLACE ..two dots\n/^$/ PREPEND empty\n"}, A),
    ({"body": "/./ WARN\n"}, A),
    ({"body": "/^Subject: in/ REPLACE \n/^From / REPLACE From elsewhere\n"}, A),
    # which table
    ({"header": "/./ WARN h\n", "mime": "/./ WARN m\n", "nested": "/./ WARN n\n", "body": "/./ WARN b\n"}, A),
    ({"mime": "/./ WARN m\n"}, A),
    ({"nested": "/./ WARN n\n"}, A),
    ({"header": "/./ WARN h\n"}, A),
    ({"mime": "/name=.*\\.exe/ REJECT 5.7.0 no programs\n"}, A),
    ({"mime": "/^Content-Disposition: (.*)/ REPLACE Content-Disposition: x; y=$1\n/^X-Part/ IGNORE\n"}, ["mime"]),
    ({"nested": "/^(X-Inner|Subject)/ IGNORE\n/^From/ PREPEND X-New: 1\n"}, ["mime"]),
    ({"header": "/^Content-Type: text\\/html/ REPLACE Content-Type: text/plain\n"}, ["mime"]),
    # the language
    ({"header": "if /^Subject:/\n/folded/ WARN folded\n/parts/ WARN parts\nendif\n/^To:/ WARN to\n"}, A),
    ({"header": "if !/^Subject:/\n/^X-/ WARN x\nendif\nif /^S/\nif /news/\n/./ WARN deep\nendif\n/with/ WARN with\nendif\n"}, A),
    ({"header": "!/^(Subject|To|From|Received|Date|X-|Message|MIME|Content)/ WARN none\n!/e/ WARN no e\n"}, A),
    ({"header": "/^SUBJECT/i WARN case\n/^subject/i WARN lower\n/^subject/ WARN any\n"}, A),
    ({"header": "/^Subject: old news, folded\\n\\tand folded\\n again$/ WARN whole\n/a.*again/s WARN no dot\n/folded$/m WARN multi\n"}, A),
    ({"header": "/^ (Subject|To) : /x WARN extended\n"}, A),
    ({"header": "/ubject/A WARN anchored\n/^To: (.*)e/U WARN $1\n"}, A),
    ({"header": "/^(.)(.)(.).*/ WARN $3${2}$(1)$$4\n"}, A),
    ({"header": "# comment\n\n   # another\n/^To:/\n   WARN\n\tcontinued\n  here\n"}, A),
    ({"header": "/^To:/ WARN one # no comment\n"}, A),
    ({"header": "|^To: .*/| WARN slash\n/\\// WARN a \\/ b\n"}, A),
    ({"type": "regexp", "header": "/^Subject: (.*)news/ WARN $1\n/^X-[[:alpha:]]*:/ INFO posix\n"}, A),
    ({"type": "regexp", "header": "/^to: \\(.*\\)@/x WARN basic $1\n/^FROM/i WARN case\n/folded$/m WARN lines\n"}, A),
    ({"type": "regexp", "header": "/^to: .\\{3,\\}er\\(@\\|x\\)/x WARN count $1\n/a*b(c/x WARN no\n/o+/x WARN no\n/^*/x WARN no\n/news, f*o/x WARN star\n"}, A),
    ({"type": "regexp", "header": "/old.*again/m WARN no\n/^\tand folded$/m WARN line\n"}, A),
    ({"type": "regexp", "header": "/<anna@/ WARN brackets\n/\\<news\\>/ WARN word\n/[\\]]/ WARN esc\n"}, A),
    ({"type": "regexp", "header": "/^Subject: (o|old|old n)(.*)/ WARN [$1][$2]\n"}, A),
    ({"type": "regexp", "header": "if /^S/\n!/old/ WARN not old\n/old/ WARN old\nendif\n"}, A),
    # limits
    ({"body": "/^(.*)$/ WARN $1\n", "params": {"body_checks_size_limit": "0"}}, ["plain"]),
    ({"body": "/^(.*)$/ WARN $1\n", "params": {"body_checks_size_limit": "20"}}, A),
]
