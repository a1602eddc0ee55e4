"""Budgets and costs as formulas: `2T`, `(n+1)T`, `T - k`, in epochs."""

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache

from lthbench import source
from lthbench.errors import InputError

_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TOKEN = re.compile(r"\s*(\d+\.?\d*|\.\d+|[A-Za-z_]+|[-+*/()])")


def evaluate(formula: str, names: Mapping[str, float]) -> float:
    """Evaluate a formula of numbers, names, + - * / and brackets. Adjacent terms are multiplied.

    T is the recipe's epochs, n the rounds to the cell's sparsity. Raises InputError for anything else.
    """
    try:
        return _value(_tree(formula), names)
    except (SyntaxError, ValueError, KeyError, ArithmeticError) as error:
        known = ", ".join(names)
        raise InputError(
            f"{formula[:80]!r} is not a formula in {known} ({error}); write for instance 2T or (n+1)T"
        ) from None


def rounds(sparsity: float, rate: float = 0.2) -> list[float]:
    """Return the sparsity after each round that removes `rate` of the remaining weights, ending exactly at `sparsity`.

    There are no rounds for sparsity 0.
    """
    steps = math.ceil(math.log(1 - sparsity) / math.log(1 - rate) - 1e-9)
    grid = [round(1 - (1 - rate) ** k, 15) for k in range(1, steps)]  # 0.488, as suites write it
    return grid + [sparsity] * (steps > 0)


@lru_cache(maxsize=256)
def _tree(formula: str) -> ast.AST:
    return source.parsed(" ".join(_multiplied(formula)), mode="eval").body  # type: ignore[attr-defined]


def _multiplied(formula: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(formula.rstrip()):
        found = _TOKEN.match(formula, at)
        if not found:
            raise ValueError(f"at {formula[at : at + 80]!r}")
        token, at = found.group(1), found.end()
        if tokens and _ends_value(tokens[-1]) and (token == "(" or (_ends_value(token) and token != ")")):
            tokens.append("*")
        tokens.append(token)
    return tokens


def _ends_value(token: str) -> bool:
    return token == ")" or token[0].isalnum() or token[0] in "._"


def _value(node: ast.AST, names: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return float(value)
        case ast.Name(id=name):
            return float(names[name])
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, names)
    raise ValueError("only numbers, names, + - * / and brackets")
