"""Offline stand-ins for the repositories that Bazel would otherwise download.

Distribution builds of Bazel (Debian/Ubuntu bazel-bootstrap 4.2.3) report an empty native.bazel_version
and ship no rules_cc in a form that they can use. There, these repositories forward to the native
rules. Released Bazel versions are left alone and use their own defaults.
"""

_SYMBOLS = {
    "cc": [
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_proto_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
        "fdo_prefetch_hints",
        "fdo_profile",
        "objc_import",
        "objc_library",
    ],
    "java": [
        "java_binary",
        "java_import",
        "java_library",
        "java_lite_proto_library",
        "java_package_configuration",
        "java_plugin",
        "java_proto_library",
        "java_runtime",
        "java_test",
        "java_toolchain",
    ],
    "proto": ["proto_lang_toolchain", "proto_library"],
}

def _native_forward_repo_impl(rctx):
    pkg = rctx.attr.package
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)
    rctx.file("BUILD", "")
    rctx.file(pkg + "/BUILD", "exports_files([\"defs.bzl\"])\n")
    rctx.file(pkg + "/defs.bzl", "".join(["%s = native.%s\n" % (s, s) for s in _SYMBOLS[pkg]]))

_native_forward_repo = repository_rule(
    implementation = _native_forward_repo_impl,
    attrs = {"package": attr.string()},
    local = True,
)

# `bazel test` wants these to exist, only `bazel coverage` would run them.
def _coverage_tools_repo_impl(rctx):
    rctx.file("WORKSPACE", "")
    rctx.file("absent.sh", "#!/bin/sh\necho 'no coverage tools with this Bazel' >&2\nexit 1\n")
    rctx.file("BUILD", """\
package(default_visibility = ["//visibility:public"])
[sh_binary(name = n, srcs = ["absent.sh"]) for n in ("coverage_report_generator", "lcov_merger")]
""")

_coverage_tools_repo = repository_rule(implementation = _coverage_tools_repo_impl, local = True)

def offline_bazel_deps():
    """Call from WORKSPACE before anything else."""
    if native.bazel_version:
        return
    for pkg in _SYMBOLS:
        _native_forward_repo(name = "rules_" + pkg, package = pkg)
    _coverage_tools_repo(name = "remote_coverage_tools")
