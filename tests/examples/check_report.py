"""check_report.py FILE: is it well-formed, complete, and without outside links?"""
import html.parser
import sys

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        for name, value in attrs:
            if name in ("href", "src", "xlink:href"):
                assert value.startswith("data:"), "outside link: %s" % value
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> closes %s" % (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data):
        self.text += data


page = open(sys.argv[1], encoding="utf-8").read()
checker = Checker()
checker.feed(page)
checker.close()
assert not checker.open, "never closed: %s" % checker.open
assert checker.seen["svg"] >= 6 and checker.seen["img"] == 1 and checker.seen["table"] == 2, checker.seen
assert "nan" not in checker.text.lower() and "url(" not in page and "@import" not in page
for word in ("Density matrix", "Who owns what", "Idempotency error", "Time line", "rank 0", "device mesh"):
    assert word in checker.text, "the report does not say " + word
