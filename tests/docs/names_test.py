#!/usr/bin/env python3
"""The documents name what exists, their links lead somewhere, and the headers explain every name."""

import glob
import os
import re
import sys

DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/concepts.md", "docs/from_pytorch.md",
             "docs/inside_a_node.md"]
HEADERS = sorted(glob.glob("dtensor/include/dtensor/*.h"))
NAME = re.compile(r"\b(?:dtensor|DTENSOR)_\w+")
LINK = re.compile(r"\]\(([^)\s]+)\)")

# Environment variables, and two Bazel macros.
NOT_IN_HEADERS = {"DTENSOR_CHECK", "DTENSOR_SHARED_MEMORY", "DTENSOR_RANKS_PER_NODE", "dtensor_test", "dtensor_mpi_test"}

problems = []


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def anchors(text):
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def check_names(path, text, known):
    for name in sorted(set(NAME.findall(text)) - known - NOT_IN_HEADERS):
        problems.append(f"{path}: {name} is nowhere defined")


def check_links(path, text):
    for link in LINK.findall(text):
        target, _, anchor = link.partition("#")
        if target.startswith(("http:", "https:")):
            continue
        place = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
        if not os.path.exists(place):
            problems.append(f"{path}: {link} leads nowhere")
        elif anchor and anchor not in anchors(read(place)):
            problems.append(f"{path}: {link}: no such heading")


def check_comments(path, text):
    """Lines without a blank one between them are a group; its functions share the comment above."""
    short = re.sub(r"/\*.*?\*/", "/**/", text, flags=re.DOTALL)
    for group in re.split(r"\n\s*\n", short):
        commented = False
        for line in group.split("\n"):
            commented = commented or line.startswith("/**/")
            function = re.match(r"(?!typedef)\w[\w *]*\b(dtensor_\w+)\(", line)
            kind = re.match(r"typedef (?:struct|enum) (dtensor_\w+) {", line)
            if function and not commented:
                problems.append(f"{path}: {function[1]} has no comment")
            if kind and "/**/" not in group:
                problems.append(f"{path}: {kind[1]} has no comment, nor have its members")


known = {name for path in HEADERS for name in NAME.findall(read(path))}
for path in DOCUMENTS:
    check_names(path, read(path), known)
    check_links(path, read(path))
for path in HEADERS:
    check_comments(path, read(path))
print("\n".join(problems) if problems else f"{len(known)} names, {len(DOCUMENTS)} documents, {len(HEADERS)} headers")
sys.exit(bool(problems))
