# user_build.sh MPI_ENV, sourced: what a user without Bazel has. Sets mpi_cc and work, a folder that
# is removed at the end.
mpi_env=$1
[[ -e $mpi_env ]] || mpi_env=../${mpi_env#external/}
source "$mpi_env"
work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work HOME=$work
for libs in /usr/lib/*-linux-gnu/openblas-openmp/pkgconfig; do
  export PKG_CONFIG_PATH=${PKG_CONFIG_PATH:-$libs}
done
