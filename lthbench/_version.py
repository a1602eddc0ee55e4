"""The version, shared by code, rules and board."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lthbench")
except PackageNotFoundError:  # a checkout without an installation
    __version__ = "0.0.0"
