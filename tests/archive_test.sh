#!/bin/bash
# archive_test.sh MPI_ENV ARCHIVE MAIN_C
# A user without Bazel: the MPI compiler wrapper, the headers and the archive are enough.
set -eu
mpi_env=$1 archive=$2 main=$3
[[ -e $mpi_env ]] || mpi_env=../${mpi_env#external/}
source "$mpi_env"
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/XXXXXX")
export TMPDIR=$work HOME=$work
warnings=(-Wall -Wextra -Wpedantic -Werror -Idtensor/include)

# The headers, each on its own, in the languages of our users.
cflags=$("$mpi_cc" --showme:compile 2>/dev/null || "$mpi_cc" -compile-info | tr ' ' '\n' | grep '^-[ID]')
for header in dtensor/include/dtensor/*.h; do
  name=dtensor/${header##*/}
  printf '#include <%s>\ntypedef int not_empty;\n' "$name" >"$work/one.c"
  cp "$work/one.c" "$work/one.cc"
  # shellcheck disable=SC2086
  for std in c99 c11; do "${CC:-gcc}" -std=$std "${warnings[@]}" $cflags -fsyntax-only "$work/one.c"; done
  # shellcheck disable=SC2086
  "${CXX:-g++}" -std=c++11 "${warnings[@]}" -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX $cflags -fsyntax-only "$work/one.cc"
done
echo "headers: C99, C11, C++11"

for libs in /usr/lib/*-linux-gnu/openblas-openmp/pkgconfig; do
  export PKG_CONFIG_PATH=${PKG_CONFIG_PATH:-$libs}
done
# shellcheck disable=SC2046
"$mpi_cc" -std=c99 "${warnings[@]}" "$main" "$archive" $(pkg-config --libs openblas) -fopenmp -lpthread -lm -o "$work/main"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export OMPI_MCA_orte_tmpdir_base=$work OMPI_MCA_btl_vader_backing_directory=$work
"$work/main"
