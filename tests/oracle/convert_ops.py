#!/usr/bin/env python3
"""Turn ops.json and ops_ref.json (what PyTorch's operators give) into ops.txt, for the operators that
dtensor has: convert_ops.py ops.json ops_ref.json > ops.txt"""

import json
import re
import sys

HEADER = """\
# Operators of PyTorch 2.6.0 on DTensors.
#
#   array SHAPE VALUES...             numbered from 0; "scalar" is the shape of a scalar
#   op NAME FUNCTION ARGUMENTS...     NAME is the case's, FUNCTION and ARGUMENTS are dtensor's
#   in ARRAY...                       its inputs
#   out ARRAY                         its right result, on one process
#   row MESH IN... > OUT TO...        layouts of the inputs, of PyTorch's result ("-": wrong, refused or no
#                                     tensor), and where PyTorch moved each input ("=": nowhere)"""

# case: function, arguments
CALLS = {
    "add": "add", "sub": "sub", "mul": "mul", "div": "div", "pow_t": "pow_of_abs", "maximum": "maximum",
    "add_alpha": "axpy_reversed 2", "neg": "neg", "abs": "abs", "exp": "exp", "log": "log",
    "sqrt": "sqrt", "tanh": "tanh", "relu": "relu", "add_scalar": "add_scalar 1.5",
    "sub_scalar": "add_scalar -1.5", "mul_scalar": "scale 2.5", "div_scalar": "scale 0.5",
    "pow_scalar": "pow_scalar 2", "square": "pow_scalar 2", "clone": "copy", "contiguous": "copy",
    "to_f32": "cast_f32", "t": "transpose 0 1", "T_prop": "transpose 0 1", "mT": "transpose -2 -1",
    "swapdims": "transpose 0 1", "transpose": "transpose 0 1", "transpose3d_-1": "transpose 1 -1",
    "permute3d": "permute 2 0 1", "movedim": "permute 1 2 0", "mm": "matmul",
    "matmul_op": "matmul", "einsum_ij_jk": "matmul", "mm_At": "matmul_transposed", "dot": "dot",
    "equal": "equal", "allclose": "allclose", "item_sum": "item_sum", "norm_2": "norm 0",
    "vector_norm2": "norm 0", "norm_dim1": "norm 0 1",
}
BROADCASTS = re.compile(r"(add|mul)_(bcast_\w+|outer|3d_2d)$")
REDUCTIONS = re.compile(r"a?(sum|mean|max|min)(?:3d)?_(all|01|\(0,2\)|-?\d)(k?)$")


def call_of(name):
    """dtensor's function and arguments for PyTorch's case, or None."""
    name = name.split("@")[0]
    if name in CALLS:
        return CALLS[name]
    if match := BROADCASTS.match(name):
        return match[1]
    if match := REDUCTIONS.match(name):
        dims = ["-1"] if match[2] == "-1" else re.findall(r"\d", match[2])  # "all": none
        return " ".join(map(str, [match[1], int(bool(match[3])), *dims]))
    return None


def placements(text):
    return re.sub(r"P(avg|min|max|product)", r"P(\1)", text)


class Arrays:
    """Prints each array once."""

    def __init__(self):
        self.known = {}

    def number(self, shape, values):
        key = "x".join(map(str, shape)) or "scalar", *map(repr, map(float, values))
        if key not in self.known:
            self.known[key] = len(self.known)
            print("array", *key)
        return self.known[key]


def targets(case, shapes):
    """Where PyTorch moved each input; None if it moved something else."""
    moves = [tuple(map(str, move[:3])) for move in case.get("redist", [])]
    to = []
    for shape, source in zip(shapes, case["in"]):
        found = [m for m in moves if m[:2] == (str(shape), source)]
        if found:
            moves.remove(found[0])
        to.append(placements(found[0][2]) if found else "=")
    return None if moves else to


def main(cases_path, reference_path):
    print(HEADER)
    cases = json.load(open(cases_path))["cases"]
    arrays = Arrays()
    for name, reference in json.load(open(reference_path))["ops"].items():
        call = call_of(name)
        if not call:
            continue
        shapes = [shape for shape, _ in reference["args"]]
        inputs = [arrays.number(s, v) for s, v in zip(shapes, reference["in"])]
        out = reference["out"][0]
        out = out if isinstance(out, dict) else {"shape": [], "data": [out]}
        result = arrays.number(out["shape"], out["data"])
        print("op", name, call)
        print("in", *inputs)
        print("out", result)
        for case in cases:
            if case["op"] != name:
                continue
            layout = case["out"][0] if case.get("ok", [False])[0] is True else "-"
            layout = "-" if layout == "py" or "Norm" in layout else placements(layout)
            to = targets(case, shapes)
            layout, to = ("-", []) if layout == "-" or to is None else (layout, to)
            print("row", "x".join(map(str, case["mesh"])), *map(placements, case["in"]), ">", layout, *to)


main(*sys.argv[1:])
