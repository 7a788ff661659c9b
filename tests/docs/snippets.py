"""The code that our documents show, taken out of them.

  snippets.py block FILE LANGUAGE   the file's only block of that language
  snippets.py program FILE          its C blocks as one program
  snippets.py output FILE           what this program must print

A C block that starts with "/* on N ranks */" is the body of a function that runs on N simulated
ranks; `sim` is the rank. What stands in the text block that follows it is what it prints. The other
C blocks are declarations for those after them.
"""

import re
import sys
from typing import NamedTuple


class Block(NamedTuple):
    language: str
    line: int  # of the first line of code
    code: str


def blocks(path):
    found, inside = [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.startswith("```"):
                if inside:
                    inside[2].append(line)
            elif inside:
                found.append(Block(inside[0], inside[1], "".join(inside[2])))
                inside = None
            else:
                inside = (line[3:].strip(), number + 1, [])
    return found


def ranks_of(block):
    match = re.match(r"/\* on (\d+) ranks \*/", block.code)
    return int(match.group(1)) if match else None


def only_block(path, language):
    of_language = [b for b in blocks(path) if b.language == language]
    if len(of_language) != 1:
        sys.exit(f"{path}: {len(of_language)} blocks of {language}, not one")
    return of_language[0].code


def program(path):
    text, calls = [], []
    for block in blocks(path):
        if block.language != "c":
            continue
        ranks = ranks_of(block)
        if ranks is None:
            text.append(f'#line {block.line} "{path}"\n{block.code}')
            continue
        name = f"line_{block.line}"
        text.append(
            f"static dtensor_status {name}(dtensor_sim *sim, void *ctx) {{\n"
            f"  (void)sim;\n  (void)ctx;\n"
            f'#line {block.line} "{path}"\n{block.code}'
            "  return DTENSOR_OK;\n}\n"
        )
        calls.append(
            f"  if (dtensor_sim_run({ranks}, {name}, NULL) != DTENSOR_OK) {{\n"
            f'    fprintf(stderr, "%s\\n", dtensor_last_error());\n'
            f"    return 1;\n  }}\n"
        )
    if not calls:
        sys.exit(f"{path}: nothing to run")
    return "\n".join(text) + "\nint main(void) {\n" + "".join(calls) + "  return 0;\n}\n"


def output(path):
    all_blocks = blocks(path)
    following = zip(all_blocks, all_blocks[1:])
    return "".join(b.code for a, b in following if ranks_of(a) and b.language == "text")


def main(verb, path, *rest):
    print({"block": only_block, "program": program, "output": output}[verb](path, *rest), end="")


main(*sys.argv[1:])
