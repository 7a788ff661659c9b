#!/usr/bin/env python3
"""Turn api.json (PyTorch's answers, see mesh.txt) into mesh.txt: convert_mesh.py api.json > mesh.txt"""

import json
import sys

HEADER = """\
# What PyTorch 2.6.0 answers for meshes of 4 ranks: DeviceMesh.get_coordinate() and the ranks of the
# one-dimensional sub-meshes that hold the rank. A row: rank, coordinate ("-": not a member), then one
# list of ranks per mesh dimension, where PyTorch was asked for them."""

# Not in the answers themselves: how these two meshes were made.
CHOSEN = {"mesh_permuted_ranks": ([2, 2], [3, 1, 0, 2]), "init_mesh_submesh_3of4": ([3], [0, 2, 3])}


def text(values):
    return ",".join(map(str, values))


def main(path):
    print(HEADER)
    for case in json.load(open(path))["cases"]:
        name, rows = case["api"], case.get("r")
        if name in CHOSEN:
            shape, ranks = CHOSEN[name]
            print("mesh", "x".join(map(str, shape)), text(ranks))
        elif name.startswith("mesh_") and name[5].isdigit():
            print("mesh", name[5:])
        else:
            continue
        for rank, row in enumerate(rows):
            lines = [text(dim["ranks"]) for dim in row.get("dims", {}).values()] if row else []
            print(rank, text(row["coord"]) if row else "-", *lines)


main(sys.argv[1])
