#!/usr/bin/env python3
"""Turn api.json (PyTorch's answers) into tensor.txt: convert_tensor.py api.json > tensor.txt"""

import json
import re
import sys

from convert_redistribute import arrays, sizes

HEADER = """\
# What PyTorch 2.6.0 makes of distribute_tensor(), DTensor.from_local() and the factories on 4 ranks.
# A row: function, mesh, global shape, placements, then each rank's local array (shape @ elements, 3:7 stands
# for 3,4,5,6,7; ? for elements that are not set), or "refused" where PyTorch raises an exception.
# distribute_tensor: the global tensor is 0, 1, 2, ... in row-major order. full: of 2.5."""

# What PyTorch refuses, and answers that do not show the placements they were asked for with.
ASKED = {
    "distribute_rankdep_2x2_P,R": ("2x2", "7x5", "P,R"),
    "distribute_rankdep_2x2_S0,P": ("2x2", "7x5", "S0,P"),
    "distribute_bad_dim": ("4", "7x5", "S(2)"),
    "distribute_bad_neg_dim": ("4", "7x5", "S(-3)"),
    "distribute_neg_dim": ("4", "7x5", "S(-1)"),
    "from_local_bad_dim": ("4", "2", "S(1)"),
}
FUNCTIONS = {
    "distribute": "distribute_tensor",
    "strided_shard_8x4": "distribute_tensor",
    "from_local": "from_local",
    "factory_": "",
}
LEFT_OUT = re.compile(r"rand|backward|wrong_len|default|dtensor|leaf|0d|uneven|runcheck|without_stride|no_placements")


def main(path):
    print(HEADER)
    for case in json.load(open(path))["cases"]:
        name = case["api"]
        prefix = next((p for p in FUNCTIONS if name.startswith(p)), None)
        if prefix is None or LEFT_OUT.search(name.replace("rankdep", "")):
            continue
        function = FUNCTIONS[prefix] or name[len(prefix):]
        if "r" not in case:
            print(function, *ASKED[name], "refused")
            continue
        ranks = [r.get("d", r) for r in case["r"]]
        placements = re.sub(r"SS(\d)x(\d)", r"SS(\1,\2)", ranks[0]["pl"])
        mesh = "2x2" if len(ranks[0]["pl"].split(",")) == 2 else "4"
        asked = ASKED.get(name, (mesh, sizes(ranks[0]["shape"]), placements))
        data = [["?"] if r["local"] is None else r["local"] for r in ranks]
        print(function, *asked, arrays([r["local_shape"] for r in ranks], data))


main(sys.argv[1])
