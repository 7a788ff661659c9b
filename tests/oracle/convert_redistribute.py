#!/usr/bin/env python3
"""Turn redistribute4.json and redistribute6.json (PyTorch's answers) into redistribute.txt:
convert_redistribute.py redistribute4.json redistribute6.json > redistribute.txt"""

import json
import re
import sys

HEADER = """\
# What PyTorch 2.6.0 makes of DTensor.redistribute(). The global tensor is 1, 2, 3, ... in row-major order.
# mesh and shape hold for the rows below them. "in": placements, then each rank's local array, ranks in
# row-major order of the mesh. "to" (from the last "in"): placements, what PyTorch did, then each rank's.
#   ok      right        refused  an exception, no arrays follow
#   mixed   Partial sums beside Partial extrema: the order of reducing matters, so there is no right answer
# A local array: its shape @ its elements in row-major order; 3:7 stands for 3,4,5,6,7."""


def sizes(values):
    return "x".join(map(str, values))


def elements(values):
    runs = []
    for v in values:
        if runs and isinstance(v, int) and isinstance(runs[-1][1], int) and v == runs[-1][1] + 1:
            runs[-1][1] = v
        else:
            runs.append([v, v])
    return ",".join(f"{a}" if a == b else f"{a}:{b}" for a, b in runs)


def placements(text):
    return re.sub(r"P([a-z]+)", r"P(\1)", text)


def arrays(shapes, data):
    return " ".join(f"{sizes(s)}@{elements(d)}" for s, d in zip(shapes, data))


def main(paths):
    print(HEADER)
    head = None
    for path in paths:
        for case in json.load(open(path))["cases"]:
            if head != (head := (case["mesh"], case["shape"])):
                print("mesh", sizes(case["mesh"]))
                print("shape", sizes(case["shape"]))
            print("in", placements(case["in"]), arrays(case["in_lshape"], case["in_local"]))
            for to in case["to"]:
                if "exc" in to:
                    print("to", placements(to["out"]), "refused")
                    continue
                done = "ok" if to["ok"] is True else "wrong" if to["ok"] is False else "mixed"
                print("to", placements(to["out"]), done, arrays(to["lshape"], to["local"]))


if __name__ == "__main__":
    main(sys.argv[1:])
