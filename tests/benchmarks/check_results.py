"""check_results.py RESULTS_CSV RESULTS_HTML RANKS: do they have what they promise?"""
import csv
import html.parser
import sys

VOID = {"meta", "br"}


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        assert tag != "script", "a script"
        for name, value in attrs:
            assert name not in ("href", "src", "xlink:href"), "outside link: %s" % value
            assert "nan" not in (value or "").lower().split(), "%s of %s: %s" % (name, tag, value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> closes %s" % (tag, self.open[-3:])
        self.open.pop()

    def handle_data(self, data):
        self.text += data


def check_page(path, rows):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert not checker.open, "never closed: %s" % checker.open
    assert "url(" not in page and "@import" not in page and "http" not in page
    assert checker.seen["table"] >= 1 and "./run bench" in checker.text
    if any(row["limit_seconds"] for row in rows):
        assert checker.seen["svg"] >= 2, checker.seen
        assert "limit" in checker.text
    for row in rows:
        assert row["shape"] in checker.text and row["layouts"] in checker.text, row
    assert "–" in checker.text, "what is missing is a dash"


def check_rows(rows, ranks):
    assert rows, "no measurements"
    assert {row["mesh"] for row in rows} == {str(ranks)}
    for row in rows:
        for name in ("seconds", "peer_seconds", "limit_seconds", "rate"):
            assert row[name] == "" or float(row[name]) > 0, "%s of %s is %s" % (name, row["op"], row[name])
        assert bool(row["peer"]) == bool(row["peer_seconds"]), row
        assert float(row["bytes"]) >= float(row["least_bytes"]), row
    peers = {(row["op"], row["peer"]) for row in rows}
    wanted = {("matmul", "cblas_dgemm"), ("add", "plain C add")} if ranks == 1 else {
        ("redistribute", "limit"), ("redistribute", "MPI"), ("bandwidth", "limit"), ("matmul", "one process")}
    assert wanted <= peers, wanted - peers


csv_path, html_path, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(csv_path, encoding="utf-8", newline="") as lines:
    measured = list(csv.DictReader(line for line in lines if not line.startswith("#")))
check_rows(measured, number)
check_page(html_path, measured)
