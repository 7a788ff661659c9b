"""Repositories for what is installed on this machine; each is looked at only when a target needs it.

  @mpi         //:mpi      MPI, through its compiler wrapper
  @openblas    //:openblas its OpenMP build, whatever the system's default BLAS is
  @googletest  //:gtest    built from the distribution's sources

For the benchmarks alone, which do without those that are missing:

  @scalapack   //:scalapack  defines BENCH_HAVE_SCALAPACK where there is one for this MPI
  @fftw_mpi    //:fftw_mpi   defines BENCH_HAVE_FFTW_MPI likewise (GPL: never for the library)

Environment variables that choose another one (Bazel looks again when they change):
  MPICC            MPI C compiler wrapper, name or absolute path (default: mpicc)
  MPI_HOME         prefix that holds bin/mpicc and bin/mpiexec (used if MPICC is unset)
  MPIEXEC          launcher (default: the mpiexec or mpirun beside the wrapper)
  OPENBLAS_HOME    prefix that holds include/cblas.h and lib/libopenblas.*
  OPENBLAS_PKG     pkg-config module (default: openblas)
  GTEST_SRC_DIR    GoogleTest source folder with include/ and src/gtest-all.cc
  PKG_CONFIG_PATH  as usual
"""

def _must(rctx, argv, what):
    r = rctx.execute(argv)
    if r.return_code != 0:
        fail("%s: `%s` failed:\n%s%s" % (what, " ".join([str(a) for a in argv]), r.stdout, r.stderr))
    return r.stdout.strip()

def _find(rctx, name_or_path):
    if name_or_path.startswith("/"):
        p = rctx.path(name_or_path)
        return p if p.exists else None
    return rctx.which(name_or_path)

def _flags(line, *prefixes):
    return [f for f in line.replace("\n", " ").split(" ") if f and (not prefixes or [p for p in prefixes if f.startswith(p)])]

def _library(rctx, name, compile = "", link = "", extra = ""):
    """Writes a BUILD file with one cc_library from compiler and linker flags."""

    # A folder outside the compiler's own search path must be linked into the repository, or Bazel
    # calls its headers undeclared.
    includes = []
    for d in [f[2:].rstrip("/") for f in _flags(compile, "-I")]:
        if d not in ("/usr/include", "/usr/local/include") and rctx.path(d).exists:
            includes.append("include%d" % len(includes))
            rctx.symlink(d, includes[-1])

    # Libraries only: distributions leak -O2, -flto and hardening flags into their wrappers.
    linkopts = _flags(link, "-L", "-l", "-Wl,-rpath", "/")
    known = " ".join(_flags(link, "-Wl,-rpath"))
    for d in [f[2:].rstrip("/") for f in _flags(link, "-L")]:
        if d not in ("/usr/lib", "/lib", "/usr/lib64") and d not in known:
            linkopts.append("-Wl,-rpath," + d)

    rctx.file("BUILD.bazel", """\
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

cc_library(
    name = "{name}",
    hdrs = glob({globs}, allow_empty = True),
    defines = {defines},
    includes = {includes},
    linkopts = {linkopts},
)
{extra}""".format(
        name = name,
        globs = [i + "/**/*.h" for i in includes],
        defines = [f[2:] for f in _flags(compile, "-D")],
        includes = includes,
        linkopts = linkopts,
        extra = extra,
    ))

_MPI_ENVIRON = ["MPICC", "MPI_HOME", "MPIEXEC", "PATH"]

def _mpicc(rctx):
    """The wrapper that is asked for, and its path, None if there is none."""
    env = rctx.os.environ
    home = env.get("MPI_HOME", "")
    want = env.get("MPICC", "") or (home + "/bin/mpicc" if home else "mpicc")
    return want, _find(rctx, want)

def _mpi_impl(rctx):
    env = rctx.os.environ
    want, mpicc = _mpicc(rctx)
    if not mpicc:
        fail("MPI compiler wrapper '%s' not found; install one (e.g. libopenmpi-dev) or set MPICC or MPI_HOME" % want)

    if rctx.execute([mpicc, "--showme:compile"]).return_code == 0:
        flavor, show_compile, show_link = "openmpi", "--showme:compile", "--showme:link"
    else:  # MPICH and its kin (MVAPICH, Intel MPI, Cray): the whole command is printed
        flavor, show_compile, show_link = "mpich", "-compile-info", "-link-info"
    compile = _must(rctx, [mpicc, show_compile], "MPI")
    link = _must(rctx, [mpicc, show_link], "MPI")
    if flavor == "mpich" and link.startswith("/"):
        link = link.partition(" ")[2]  # the compiler's path is no library

    # The launcher beside the wrapper, with the wrapper's suffix: mpicc.mpich -> mpiexec.mpich.
    folder = str(rctx.path(mpicc).dirname)
    suffix = mpicc.basename[len("mpicc"):] if mpicc.basename.startswith("mpicc") else ""
    candidates = [env["MPIEXEC"]] if env.get("MPIEXEC", "") else (
        [folder + "/" + n + suffix for n in ("mpiexec", "mpirun", "mpiexec.hydra")] + ["mpiexec", "mpirun"]
    )
    found = [p for p in [_find(rctx, c) for c in candidates] if p]
    if not found:
        fail("no MPI launcher found among %s; set MPIEXEC" % candidates)

    rctx.file("mpi.env", "mpi_flavor=%s\nmpi_exec=%s\nmpi_cc=%s\n" % (flavor, found[0], mpicc))

    # The C++ bindings that MPI-3 removed would want another library as soon as a C++ file includes mpi.h.
    compile += " -DOMPI_SKIP_MPICXX -DMPICH_SKIP_MPICXX"
    _library(rctx, "mpi", compile, link, "exports_files([\"mpi.env\"])\n")

_mpi_repo = repository_rule(
    implementation = _mpi_impl,
    environ = _MPI_ENVIRON,
    configure = True,
    local = True,
)

# Where distributions keep the OpenMP build, looked at before the default.
_OPENBLAS_OPENMP = ["/usr/lib/%s-linux-gnu/openblas-openmp/pkgconfig" % cpu for cpu in ("x86_64", "aarch64")]

def _openblas_impl(rctx):
    env = rctx.os.environ
    home = env.get("OPENBLAS_HOME", "")
    if home:
        lib = home + ("/lib64" if rctx.path(home + "/lib64/libopenblas.so").exists else "/lib")
        flags = ["-I%s/include" % home, "-L%s -lopenblas" % lib]
    else:
        tool = rctx.which("pkg-config") or rctx.which("pkgconf")
        if not tool:
            fail("OpenBLAS: pkg-config not found; install it or set OPENBLAS_HOME")
        package = env.get("OPENBLAS_PKG", "") or "openblas"
        path = ":".join([p for p in [env.get("PKG_CONFIG_PATH", "")] + _OPENBLAS_OPENMP if p])
        flags = [
            _must(rctx, ["env", "PKG_CONFIG_PATH=" + path, tool, f, package], "OpenBLAS (install libopenblas-openmp-dev or set OPENBLAS_HOME)")
            for f in ("--cflags", "--libs")
        ]
    _library(rctx, "openblas", flags[0], flags[1])

_openblas_repo = repository_rule(
    implementation = _openblas_impl,
    environ = ["OPENBLAS_HOME", "OPENBLAS_PKG", "PKG_CONFIG_PATH", "PATH"],
    configure = True,
    local = True,
)

# Links a program; both MPIs in one process would be one too many.
_PROBE = """\
"$1" probe.c $2 -o probe || exit 1
libraries=$(ldd probe)
case $libraries in *libmpich*libmpi.so* | *libmpi.so*libmpich*) exit 1 ;; esac
"""

def _optional_mpi_library_impl(rctx):
    """The first candidate that links with this MPI, or an empty library."""
    _, mpicc = _mpicc(rctx)
    rctx.file("probe.c", rctx.attr.probe)
    rctx.file("probe.sh", _PROBE)
    for link in rctx.attr.candidates if mpicc else []:
        if rctx.execute(["sh", "probe.sh", mpicc, link]).return_code == 0:
            _library(rctx, rctx.attr.library, "-D" + rctx.attr.define, link)
            return
    _library(rctx, rctx.attr.library)

_optional_mpi_library_repo = repository_rule(
    implementation = _optional_mpi_library_impl,
    attrs = {
        "candidates": attr.string_list(doc = "linker flags, each to be tried in turn"),
        "define": attr.string(),
        "library": attr.string(doc = "the target's name"),
        "probe": attr.string(doc = "a C program that needs the library"),
    },
    environ = _MPI_ENVIRON,
    configure = True,
    local = True,
)

def _googletest_impl(rctx):
    for d in [rctx.os.environ.get("GTEST_SRC_DIR", ""), "/usr/src/googletest/googletest", "/usr/src/gtest"]:
        if d and rctx.path(d + "/src/gtest-all.cc").exists:
            rctx.symlink(d + "/include", "include")
            rctx.symlink(d + "/src", "src")
            rctx.symlink(Label("//third_party/system:gtest.BUILD"), "BUILD.bazel")
            return
    fail("GoogleTest sources not found; install the googletest package or set GTEST_SRC_DIR")

_googletest_repo = repository_rule(
    implementation = _googletest_impl,
    environ = ["GTEST_SRC_DIR"],
    configure = True,
    local = True,
)

def system_deps():
    _mpi_repo(name = "mpi")
    _openblas_repo(name = "openblas")
    _googletest_repo(name = "googletest")
    _optional_mpi_library_repo(
        name = "scalapack",
        library = "scalapack",
        candidates = ["-lscalapack-openmpi", "-lscalapack-mpich", "-lscalapack"],
        define = "BENCH_HAVE_SCALAPACK",
        probe = "void pdgemm_(void); int main(void) { pdgemm_(); }",
    )
    _optional_mpi_library_repo(
        name = "fftw_mpi",
        library = "fftw_mpi",
        candidates = ["-lfftw3_mpi -lfftw3"],
        define = "BENCH_HAVE_FFTW_MPI",
        probe = "#include <fftw3-mpi.h>\nint main(void) { fftw_mpi_init(); }",
    )
