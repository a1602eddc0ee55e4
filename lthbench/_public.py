"""The public names, each with the module that defines it, as __init__.pyi lists them."""

import ast
from pathlib import Path


def _listed() -> dict[str, str]:
    stub = ast.parse(Path(__file__).with_name("__init__.pyi").read_text())
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


MODULES = _listed()
