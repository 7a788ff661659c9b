#!/usr/bin/env python3
"""report.py RESULTS_CSV RESULTS_HTML: one page, whole in itself, of what ./run bench has measured."""
import csv
import html
import math
import sys

COLUMNS = ("op,shape,layouts,mesh,threads,seconds,bytes,least_bytes,rate,unit,limit_seconds,peer,method,"
           "peer_seconds,figure,value,goal").split(",")
NUMBERS = ("seconds", "bytes", "least_bytes", "rate", "limit_seconds", "peer_seconds", "value", "goal")
COLORS = {"dtensor": "#0b6fa4", "limit": "#333333", "MPI": "#e08214", "ScaLAPACK": "#7b5ea7", "FFTW": "#4d9a4d",
          "FFTW transposed": "#a6d3a0", "one process": "#333333", "MPI_Barrier": "#999999"}
NAMES = {"limit": "one copy, by hand (the limit)", "MPI": "best of MPI", "ScaLAPACK": "ScaLAPACK",
         "FFTW": "FFTW-MPI", "FFTW transposed": "FFTW-MPI, transposed out", "one process": "one process, all threads"}
STYLE = """
body { font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; color: #1b1b1b;
       background: #fff; margin: 0 auto; max-width: 1240px; padding: 28px 40px 60px; }
h1 { font-size: 34px; margin: 0 0 4px; letter-spacing: -0.5px; }
h2 { font-size: 22px; margin: 46px 0 4px; border-top: 2px solid #0b6fa4; padding-top: 14px; }
h3 { font-size: 16px; margin: 20px 0 4px; }
p { margin: 4px 0 10px; max-width: 900px; } .note { color: #555; }
.facts { color: #555; font-size: 13.5px; max-width: 1150px; }
.tiles { display: flex; gap: 16px; margin: 22px 0 0; flex-wrap: wrap; }
.tile { flex: 1; min-width: 210px; background: #f2f7fa; border-left: 5px solid #0b6fa4; padding: 10px 16px; }
.tile b { display: block; font-size: 30px; line-height: 1.25; color: #0b6fa4; } .tile span { color: #444; font-size: 13.5px; }
.panels { display: flex; gap: 18px; flex-wrap: wrap; }
.legend { display: flex; gap: 20px; flex-wrap: wrap; font-size: 13.5px; margin: 8px 0; }
.legend i { display: inline-block; width: 13px; height: 13px; margin-right: 6px; vertical-align: -1px; }
svg { display: block; } svg text { font-family: inherit; fill: #1b1b1b; }
table { border-collapse: collapse; font-size: 13px; margin-top: 10px; }
th { text-align: right; font-weight: 600; border-bottom: 2px solid #333; padding: 3px 9px; vertical-align: bottom; }
td { text-align: right; padding: 2px 9px; border-bottom: 1px solid #e4e4e4; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.name, td.name { text-align: left; } td.ours { font-weight: 600; color: #0b6fa4; } td small { color: #777; }
code { background: #f2f2f2; padding: 1px 5px; } pre { background: #f2f2f2; padding: 10px 14px; display: inline-block; margin: 4px 0; }
"""


# ---- what was measured


class Row:
    """One measurement with all of its peers: the fastest way of each."""

    def __init__(self, line):
        self.op, self.shape, self.layouts = line["op"], line["shape"], line["layouts"]
        self.mesh, self.threads, self.unit = line["mesh"], line["threads"], line["unit"]
        self.seconds, self.rate, self.goal = line["seconds"], line["rate"], line["goal"]
        self.bytes, self.least = line["bytes"], line["least_bytes"]
        self.figure, self.value = line["figure"], line["value"]
        self.peers = {}  # name: (seconds, method)

    def add(self, line):
        name, seconds = line["peer"], line["peer_seconds"]
        if name and seconds and (name not in self.peers or seconds < self.peers[name][0]):
            self.peers[name] = (seconds, line["method"])

    def over(self, peer):
        """dtensor's time over a peer's, None if that is missing."""
        return self.seconds / self.peers[peer][0] if self.seconds and peer in self.peers else None


def read(path):
    facts, rows = {}, {}
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    for line in lines:
        if line.startswith("# ") and ": " in line:
            name, _, value = line[2:].partition(": ")
            facts[name] = value.strip()
    reader = csv.DictReader(line for line in lines if not line.startswith("#"))
    missing = set(COLUMNS) - set(reader.fieldnames or [])
    if missing:
        sys.exit("%s: columns are missing: %s" % (path, ", ".join(sorted(missing))))
    for line in reader:
        for name in NUMBERS:
            line[name] = float(line[name]) if line[name] else None
        key = tuple(line[name] for name in ("op", "shape", "layouts", "mesh", "threads"))
        rows.setdefault(key, Row(line)).add(line)
    return facts, list(rows.values())


# ---- text


def text_of(value):
    return html.escape(str(value))


def duration(seconds):
    if not seconds:
        return "–"
    for unit, scale in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * scale >= 1 or unit == "µs":
            return "%s %s" % (significant(seconds * scale), unit)


def significant(value):
    return "%.0f" % value if value >= 100 else "%.1f" % value if value >= 10 else "%.2f" % value


def pretty(shape):
    return shape.replace("^2", "²").replace("^3", "³")


def size_text(count):
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= scale:
            return "%g %s" % (count / scale, unit)
    return "%g B" % count


def name_of(peer):
    return NAMES.get(peer, peer)


def color_of(peer):
    return COLORS.get(peer, "#777777")


def legend(names):
    items = "".join('<span><i style="background:%s"></i>%s</span>' % (color_of(n), text_of(name_of(n))) for n in names)
    return '<div class="legend">%s</div>' % items


# ---- pictures


class Axis:
    """Values to pixels: logarithmic, or linear from 0 where there is no low end."""

    def __init__(self, low, high, start, length):
        self.scale = math.log10 if low else float
        self.low, self.high = self.scale(low), self.scale(max(high, low * 1.01))
        self.start, self.length, self.origin = start, length, start if not low else self.at(1, start, length)

    def at(self, value, start, length):
        share = (self.scale(value) - self.low) / (self.high - self.low)
        return start + length * min(1, max(0, share))

    def __call__(self, value):
        return self.at(value, self.start, self.length)

    def ticks(self):
        if self.scale is float:
            step = 10 ** math.floor(math.log10(self.high))
            while self.high / step < 4:
                step /= 2
            return [i * step for i in range(int(self.high / step) + 1)]
        marks = [m * 10.0**e for e in range(math.floor(self.low) - 1, math.ceil(self.high) + 1) for m in (1, 2, 5)]
        marks = [m for m in marks if self.low - 1e-9 <= math.log10(m) <= self.high + 1e-9]
        return marks if len(marks) <= 7 else [m for m in marks if ("%e" % m)[0] == "1"]


def label(x, y, text, size=12, anchor="start", extra=""):
    return '<text x="%.1f" y="%.1f" font-size="%g" text-anchor="%s" %s>%s</text>' % (
        x, y, size, anchor, extra, text_of(text))


def line(x1, y1, x2, y2, color="#ddd", width=1, dashes=""):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="%g"%s/>' % (
        x1, y1, x2, y2, color, width, ' stroke-dasharray="%s"' % dashes if dashes else "")


def bars(title, groups, high, low=0, marks=(), unit="x", width=386, left=92):
    """Horizontal bars: from 1 on a logarithmic scale, from 0 without a low end.
    groups: (name, [(series, value or None)]); marks: (value, name, color)."""
    bar, gap, top, right = 12, 9, 50, 46
    axis = Axis(low, high, left, width - left - right)
    height = top + sum(gap + bar * len(values) for _, values in groups) + 26
    bottom = height - 22
    out = [label(0, 15, title, 14, "start", 'font-weight="600"')]
    for tick in axis.ticks():
        out += [line(axis(tick), top, axis(tick), bottom), label(axis(tick), height - 6, "%g" % tick, 11, "middle")]
    y = top + gap / 2
    for name, values in groups:
        out.append(label(left - 8, y + bar * len(values) / 2 + 4, name, 12, "end"))
        for series, value in values:
            if value is None:
                out.append(label(axis.origin + 4, y + 10, "–", 11, "start", 'style="fill:#999"'))
            else:
                x1, x2 = sorted((axis.origin, axis(value)))
                weight = 'font-weight="600"' if series == "dtensor" else ""
                out.append('<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"><title>%s, %s: %s</title></rect>' % (
                    x1, y + 1, max(1.5, x2 - x1), bar - 2, color_of(series), text_of(name), text_of(name_of(series)),
                    significant(value) + unit))
                out.append(label(x2 + 4, y + 10, significant(value), 11, "start", weight))
            y += bar
        y += gap
    for value, name, color in marks:
        out += [line(axis(value), top - 4, axis(value), bottom, color, 1.4, "" if value == 1 else "5 3"),
                label(axis(value), top - (8 if value == 1 else 19), name, 11, "end" if value == 1 else "start", 'style="fill:%s"' % color)]
    return '<svg width="%d" height="%d" viewBox="0 0 %d %d" role="img">%s</svg>' % (width, height, width, height, "".join(out))


def curves(title, series, width=590, height=370):
    """Bandwidth by size, both logarithmic. series: (name, [(bytes, GB/s)])."""
    left, top, right, bottom = 62, 34, 20, 50
    points = [p for _, line_points in series for p in line_points]
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x = Axis(min(xs), max(xs), left, width - left - right)
    y = Axis(min(ys) * 0.8, max(ys) * 1.3, height - bottom, -(height - top - bottom))
    out = [label(left, 16, title, 14, "start", 'font-weight="600"')]
    for tick in y.ticks():
        out += [line(left, y(tick), width - right, y(tick)), label(left - 7, y(tick) + 4, "%g" % tick, 12, "end")]
    size = 2 ** math.ceil(math.log2(min(xs)))
    while size <= max(xs):
        out += [line(x(size), top, x(size), height - bottom),
                label(x(size), height - bottom + 17, size_text(size), 11, "middle")]
        size *= 8
    out += [label((left + width - right) / 2, height - 10, "size of the global matrix", 12, "middle"),
            label(16, (top + height - bottom) / 2, "GB/s written into the result", 12, "middle",
                  'transform="rotate(-90 16 %.1f)"' % ((top + height - bottom) / 2))]
    for name, line_points in series:
        path = " ".join("%.1f,%.1f" % (x(a), y(b)) for a, b in line_points)
        dashes = ' stroke-dasharray="7 4"' if name == "limit" else ""
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"%s/>' % (
            path, color_of(name), 3 if name == "dtensor" else 2, dashes))
        if name != "limit":
            out += ['<circle cx="%.1f" cy="%.1f" r="3.2" fill="%s"><title>%s: %s, %.3g GB/s</title></circle>' % (
                x(a), y(b), color_of(name), text_of(name_of(name)), size_text(a), b) for a, b in line_points]
    return '<svg width="%d" height="%d" viewBox="0 0 %d %d" role="img">%s</svg>' % (width, height, width, height, "".join(out))


# ---- sections


def groups_of(rows):
    """(mesh, threads): its rows, in order."""
    found = {}
    for row in rows:
        found.setdefault((row.mesh, row.threads), []).append(row)
    return found.items()


def ranks_text(mesh, threads):
    return "%s ranks × %s thread%s" % (mesh, threads, "" if threads == "1" else "s")


def panels(rows, bars_of, **options):
    """A panel for each shape, with one scale."""
    shapes = list(dict.fromkeys(row.shape for row in rows))
    values = [v for row in rows for _, v in bars_of(row) if v is not None]
    high, low = max(values + [2]) * 1.25, min(values + [0.8]) * 0.9
    return '<div class="panels">%s</div>' % "".join(
        bars(pretty(shape), [(row.layouts, bars_of(row)) for row in rows if row.shape == shape], high, low, **options)
        for shape in shapes)


def redistribution(rows):
    rows = [row for row in rows if row.op == "redistribute" and row.peers]
    if not rows:
        return ""
    out = ["<h2>Redistribution of a square matrix</h2>"]
    peers = [p for p in ("MPI", "ScaLAPACK", "FFTW") if any(p in row.peers for row in rows)]
    for (mesh, threads), here in groups_of(rows):
        limited = [row for row in here if "limit" in row.peers]
        if limited:
            goals = {row.goal for row in limited if row.goal}
            marks = [(1, "limit", "#333333")] + [(g, "goal %g" % g, "#c0392b") for g in sorted(goals)]

            def over_limit(row):
                limit = row.peers["limit"][0]
                return [("dtensor", row.over("limit"))] + [
                    (p, row.peers[p][0] / limit) for p in peers if p in row.peers]

            out += ["<h3>Time over the limit of one copy, %s</h3>" % ranks_text(mesh, threads),
                    '<p class="note">Shorter is better; logarithmic. The limit is a bare loop over shared memory, '
                    "written without the library.</p>",
                    legend(["dtensor"] + peers), panels(limited, over_limit, marks=marks)]

        def faster(row):
            return [(p, row.peers[p][0] / row.seconds if p in row.peers else None) for p in peers]

        shown = [row for row in here if any(p in row.peers for p in peers)]
        if shown:
            out += ["<h3>Time of each peer over dtensor's, %s</h3>" % ranks_text(mesh, threads),
                    '<p class="note">Right of 1, dtensor is faster; logarithmic. A dash: that peer has no such operation, or '
                    "was not installed.</p>",
                    legend(peers), panels(shown, faster, marks=[(1, "dtensor", "#0b6fa4")])]
    return "".join(out)


def matrix_bytes(row):
    """Of the global matrix, from "256^2 f64" or "8x16 f64"."""
    count, _, dtype = row.shape.partition(" ")
    if "^" in count:
        base, _, power = count.partition("^")
        elements = int(base) ** int(power)
    else:
        elements = math.prod(int(n) for n in count.split("x"))
    return elements * {"f64": 8, "f32": 4}[dtype]


def bandwidth(rows):
    rows = [row for row in rows if row.op == "bandwidth" and row.rate]
    if not rows:
        return ""
    out = ["<h2>Bandwidth by size</h2>",
           '<p class="note">Higher is better; both axes logarithmic. Up to where the caches end, then at the speed of memory.</p>',
           legend(["dtensor", "limit", "MPI"]), '<div class="panels">']
    for (mesh, threads), here in groups_of(rows):
        for layouts in dict.fromkeys(row.layouts for row in here):
            line_rows = sorted((row for row in here if row.layouts == layouts), key=matrix_bytes)
            if len(line_rows) < 2:
                continue
            series = [(peer, [(matrix_bytes(row), row.rate * row.over(peer)) for row in line_rows if peer in row.peers])
                      for peer in ("limit", "MPI")]
            series.append(("dtensor", [(matrix_bytes(row), row.rate) for row in line_rows]))
            out.append(curves("%s, %s" % (layouts, ranks_text(mesh, threads)), [s for s in series if s[1]]))
    return "".join(out) + "</div>"


def products(rows):
    rows = [row for row in rows if row.op == "matmul" and row.unit == "GFLOP/s" and row.rate and row.peers]
    if not rows:
        return ""
    peers = list(dict.fromkeys(peer for row in rows for peer in row.peers))
    high = max(row.rate * max([1] + [row.over(p) for p in row.peers]) for row in rows) * 1.2
    out = ["<h2>Matrix products</h2>",
           '<p class="note">GFLOP/s, longer is better. ScaLAPACK with its best grid and block size.</p>',
           legend(["dtensor"] + peers), '<div class="panels">']
    for (mesh, threads), here in groups_of(rows):
        groups = [(pretty(row.shape), [("dtensor", row.rate)] + [(p, row.rate * row.over(p)) for p in peers if p in row.peers])
                  for row in here]
        title = ranks_text(mesh, threads) if mesh != "1" else "1 rank × %s thread%s" % (threads, "" if threads == "1" else "s")
        out.append(bars(title, groups, high, unit=" GFLOP/s"))
    return "".join(out) + "</div>"


def tiny(rows):
    rows = [row for row in rows if row.op == "tiny" and row.peers]
    if not rows:
        return ""
    peers = [p for p in ("limit", "MPI", "MPI_Barrier") if any(p in row.peers for row in rows)]
    out = ["<h2>Almost nothing to move</h2>",
           '<p class="note">Microseconds, shorter is better. 64 bytes, then 4 KiB on each rank.</p>',
           legend(["dtensor"] + peers), '<div class="panels">']
    for (mesh, threads), here in groups_of(rows):
        groups = [("%s, %s" % (row.layouts, row.shape.split()[0]), [("dtensor", 1e6 * row.seconds)] + [
            (p, 1e6 * row.peers[p][0]) for p in peers if p in row.peers]) for row in here]
        high = max(value for _, values in groups for _, value in values) * 1.15
        out.append(bars(ranks_text(mesh, threads), groups, high, unit=" µs", width=580, left=160))
    return "".join(out) + "</div>"


def tiles(rows):
    rows = [row for row in rows if row.op == "redistribute"]
    out = []
    limited = [row for row in rows if row.goal and row.over("limit")]
    if limited:
        met = sum(row.over("limit") <= row.goal for row in limited)
        out.append(("%d of %d" % (met, len(limited)), "redistributions within %g × the limit of one copy" % limited[0].goal))
    for peer in ("MPI", "ScaLAPACK", "FFTW"):
        ratios = [1 / row.over(peer) for row in rows if row.over(peer)]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            out.append(("%s ×" % significant(mean), "the speed of %s: geometric mean of %d rows, %s to %s" % (
                name_of(peer), len(ratios), significant(min(ratios)), significant(max(ratios)))))
    return '<div class="tiles">%s</div>' % "".join(
        '<div class="tile"><b>%s</b><span>%s</span></div>' % (text_of(a), text_of(b)) for a, b in out)


def cells_of(row, peers):
    yield from ('<td class="name">%s</td>' % text_of(v) for v in (row.shape, row.layouts))
    yield from ("<td>%s</td>" % text_of(v) for v in (row.mesh, row.threads))
    yield '<td class="ours">%s</td>' % duration(row.seconds)
    yield "<td>%s</td>" % ("%s %s" % (significant(row.rate), text_of(row.unit)) if row.rate else "–")
    yield "<td>%s</td>" % ("%.3f" % (row.bytes / row.least) if row.least else "–")
    for peer in peers:
        if peer in row.peers:
            seconds, method = row.peers[peer]
            ratio = " (%.2f)" % row.over(peer) if row.seconds else ""
            yield "<td>%s%s<br><small>%s</small></td>" % (duration(seconds), ratio, text_of(method))
        else:
            yield "<td>–</td>"
    # The time over the limit stands beside the limit.
    figure = "%s %.3f" % (row.figure, row.value) if row.value and row.figure != "time / limit" else ""
    goal = "goal %g" % row.goal if row.goal else ""
    yield '<td class="name">%s</td>' % text_of(", ".join(part for part in (figure, goal) if part))


def tables(rows):
    order = list(COLORS)
    out = ["<h2>All measurements</h2>",
           '<p class="note">Medians over repeats of the slowest rank. In brackets, dtensor\'s time over the peer\'s; below, how the '
           "peer did it. Rates of redistributions are bytes written into results; bytes and the least possible are those that "
           "all ranks receive.</p>"]
    for op in dict.fromkeys(row.op for row in rows):
        here = [row for row in rows if row.op == op]
        peers = sorted({p for row in here for p in row.peers},
                       key=lambda p: (order.index(p) if p in order else len(order), p))
        head = ["shape", "layouts", "mesh", "threads", "dtensor", "rate", "bytes / least"] + peers + ["figure"]
        out.append("<h3>%s</h3><table><tr>" % text_of(op))
        out += ["<th%s>%s</th>" % (' class="name"' if name in ("shape", "layouts", "figure") else "", text_of(name))
                for name in head]
        out.append("</tr>")
        out += ["<tr>%s</tr>" % "".join(cells_of(row, peers)) for row in here]
        out.append("</table>")
    return "".join(out)


def page(facts, rows):
    described = " · ".join("%s: %s" % (text_of(k), text_of(v)) for k, v in facts.items())
    parts = (tiles, redistribution, bandwidth, products, tiny, tables)
    body = "".join(part(rows) for part in parts) if rows else "<p>The file has no measurements.</p>"
    return """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>dtensor: measurements</title><style>%s</style></head><body>
<h1>dtensor beside its peers</h1>
<p>Every result was checked element by element before it was timed. All ways of a row ran in turn in one process group,
so that they saw the same machine; a time is the median over repeats of the slowest rank.</p>
<p class="facts">%s</p>
%s
<h2>How to reproduce</h2>
<pre>./run bench        # builds, installs the peers that Debian has, measures, writes results.csv and this page</pre>
<p class="note"><code>RANKS="2 4" THREADS=2 ./run bench</code> chooses others. The page is made of results.csv by
<code>python3 benchmarks/report.py results.csv results.html</code>.</p>
</body></html>
""" % (STYLE, described, body)


def main():
    facts, rows = read(sys.argv[1])
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(page(facts, rows))


main()
