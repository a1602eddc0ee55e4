"""The version: of the code, the rules and the board alike."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lthbench")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0.0.0"
