"""How dtensor's own targets are built and tested.

  dti_layer          one folder of the library
  cc_static_archive  the one libdtensor.a that is installed
  dtensor_test       a C test in one process, without MPI (simulated ranks)
  dtensor_mpi_test   a C test under mpiexec, for several numbers of ranks and threads
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")
load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

# For tests, examples and benchmarks.
DTI_TEST_COPTS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow"] + select({
    "//third_party/build:werror": ["-Werror"],
    "//conditions:default": [],
})

# For the library.
DTI_COPTS = DTI_TEST_COPTS + ["-Wconversion", "-Werror=missing-prototypes"]

_OPENMP = ["-fopenmp"]

def dti_layer(name, srcs = None, hdrs = None, deps = [], openmp = False, copts = [], linkopts = []):
    """One folder of the library: all its *.c and *.h unless told otherwise.

    Args:
      deps: the layers above it that it may include; what is missing here does not compile.
      openmp: whether it may use OpenMP.
    """
    cc_library(
        name = name,
        srcs = srcs if srcs != None else native.glob(["*.c"]),
        hdrs = hdrs if hdrs != None else native.glob(["*.h"]),
        textual_hdrs = native.glob(["*.def", "*.inc"], allow_empty = True),
        copts = DTI_COPTS + copts + (_OPENMP if openmp else []),
        linkopts = linkopts + (_OPENMP if openmp else []) + ["-pthread", "-lm"],
        visibility = ["//:__subpackages__"],
        deps = deps,
    )

def _cc_static_archive_impl(ctx):
    objects = []
    for dep in ctx.attr.deps:
        for library in dep[CcInfo].linking_context.linker_inputs.to_list():
            if library.owner.workspace_name == ctx.label.workspace_name:  # the user links third parties
                for l in library.libraries:
                    objects += l.pic_objects or l.objects
    out = ctx.actions.declare_file("lib%s.a" % (ctx.attr.archive_name or ctx.label.name))
    toolchain = find_cpp_toolchain(ctx)
    args = ctx.actions.args()
    args.add(out)
    args.add_all(objects)
    ctx.actions.run_shell(
        outputs = [out],
        inputs = depset(objects, transitive = [toolchain.all_files]),
        # q, not r: two sources may share a base name; D: the same bytes for the same sources.
        command = 'rm -f "$1" && "%s" qcsD "$@"' % toolchain.ar_executable,
        arguments = [args],
        mnemonic = "CcStaticArchive",
    )
    return [DefaultInfo(files = depset([out]), runfiles = ctx.runfiles([out]))]

cc_static_archive = rule(
    doc = "One lib<archive_name>.a with the objects of all first-party deps, for users without Bazel.",
    implementation = _cc_static_archive_impl,
    attrs = {
        "deps": attr.label_list(providers = [CcInfo]),
        "archive_name": attr.string(),
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    },
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

_SUPPRESSIONS = "//tests/harness:suppressions"

def _test_flags(srcs, deps, copts, linkopts):
    return dict(
        srcs = srcs,
        copts = DTI_TEST_COPTS + _OPENMP + copts,
        linkopts = _OPENMP + linkopts,
        deps = deps + ["//dtensor", "//tests/harness:dtest"],
    )

def dtensor_test(name, srcs, deps = [], data = [], args = [], env = {}, threads = 1, copts = [], linkopts = [], tags = [], size = "small", timeout = "moderate", **kwargs):
    """DTEST cases in one process: no launcher, no MPI_Init. See tests/harness/dtest.h.

    Args:
      threads: OMP_NUM_THREADS of the process, so of each simulated rank.
    """
    cc_test(
        name = name,
        size = size,
        timeout = timeout,
        args = args,
        data = data + [_SUPPRESSIONS],
        env = dict({
            "OMP_NUM_THREADS": str(threads),
            "OMP_DYNAMIC": "false",
            "OMP_WAIT_POLICY": "passive",
        }, **env),
        linkstatic = True,
        tags = tags + ["cpu:2"],
        **dict(_test_flags(srcs, deps, copts, linkopts), **kwargs)
    )

def dtensor_mpi_test(name, srcs, np = [1, 2, 3, 4, 6], threads = [1, 2], deps = [], data = [], args = [], env = {}, copts = [], linkopts = [], tags = [], size = "small", timeout = "moderate", **kwargs):
    """DTEST cases under mpiexec: tests NAME_npN_tT, and the test_suite NAME of them all.

    Args:
      np: numbers of ranks.
      threads: values of OMP_NUM_THREADS for each rank.
    """
    cc_binary(
        name = name + "_bin",
        testonly = True,
        tags = tags,
        visibility = ["//visibility:private"],
        **_test_flags(srcs, deps, copts, linkopts)
    )
    tests = []
    for n in np:
        for t in threads:
            tests.append("%s_np%d_t%d" % (name, n, t))
            native.sh_test(
                name = tests[-1],
                size = size,
                timeout = timeout,
                srcs = ["//tests/harness:mpi_launch.sh"],
                args = ["$(rootpath @mpi//:mpi.env)", str(n), str(t), "$(rootpath :%s_bin)" % name] + args,
                data = data + [":%s_bin" % name, "@mpi//:mpi.env", _SUPPRESSIONS],
                env = env,
                # A test that wants more cores than there are runs alone.
                tags = tags + ["mpi", "cpu:%d" % (n * t)],
                **kwargs
            )
    native.test_suite(
        name = name,
        tags = [t for t in tags if t == "manual"],
        tests = tests,
    )
