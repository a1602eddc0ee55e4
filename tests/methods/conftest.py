"""Methods are tested in real runs, with the fixtures of the tests of runs."""

from tests.runs.conftest import _denormals, _fork_is_meant, _own_registry, home, run, whole

__all__ = ["_denormals", "_fork_is_meant", "_own_registry", "home", "run", "whole"]
