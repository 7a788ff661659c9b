"""The same repositories for Bazel 7 and later; see system_deps.bzl."""

load(":system_deps.bzl", "system_deps")

def _impl(_ctx):
    system_deps()

system = module_extension(implementation = _impl)
