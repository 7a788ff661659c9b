#!/bin/bash
# The operator in docs/adding_an_op.md is the one that example_op_test compiles and runs.
set -eu
sed -n '/^```c$/,/^```$/{/^```/d;p;}' docs/adding_an_op.md | diff -u tests/conformance/example_op.c -
