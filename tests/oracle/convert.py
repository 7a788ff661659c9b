#!/usr/bin/env python3
"""Turn layout.json (PyTorch's answers, see layout.txt) into layout.txt: convert.py layout.json > layout.txt"""

import json
import sys

HEADER = """\
# What PyTorch 2.6.0 answers for local shapes and global offsets (compute_local_shape_and_global_offset).
# mesh and shape hold for the rows below them. A row: placements, then "local shape@offset" of each rank
# in row-major order. Where PyTorch 2.6 gives an empty shard another offset than the start of its
# nested chunk, this start is listed."""


def sizes(values):
    return "x".join(map(str, values))


def main(path):
    print(HEADER)
    mesh = None
    for group in json.load(open(path))["groups"]:
        if group["mesh"] != mesh:
            mesh = group["mesh"]
            print("mesh", sizes(mesh))
        print("shape", sizes(group["shape"]))
        for placements, shapes, offsets, *nested_start in group["rows"]:
            for rank, offset in nested_start[0] if nested_start else []:
                offsets[rank] = offset
            print(placements, *(f"{sizes(s)}@{sizes(o)}" for s, o in zip(shapes, offsets)))


main(sys.argv[1])
