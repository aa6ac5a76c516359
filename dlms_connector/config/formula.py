"""Formulas that compute an address from a serial number, such as `SN % 10000 + 1000`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

#: The formula that is used if `serialNumberFormula` is not set.
DEFAULT_FORMULA = "SN % 10000"

_LONGEST = 200
_LARGEST_NUMBER = 10**24
_OPERATORS: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


def evaluate(formula: str, serial_number: int) -> int:
    """Compute an address from a serial number, called `SN` in the formula.

    Only integers, `+ - * / // %` and parentheses are allowed; `/` and `//` both round down.
    Raises ValueError with a sentence for the formula's author.
    """
    try:
        if len(formula) > _LONGEST:
            raise ValueError("too long")
        return _evaluate(ast.parse(formula.strip(), mode="eval").body, serial_number)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ValueError(
            f"{formula[:_LONGEST]!r} is not a formula such as 'SN % 10000 + 1000' ({reason})"
        ) from error


def _evaluate(node: ast.expr, serial_number: int) -> int:
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            result = number
        case ast.Name(id=name) if name.upper() == "SN":
            result = serial_number
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            compute = _OPERATORS[type(op)]
            result = compute(_evaluate(left, serial_number), _evaluate(right, serial_number))
        case _:
            raise ValueError(f"{ast.unparse(node)} is not allowed")
    if abs(result) > _LARGEST_NUMBER:
        raise ValueError("the number becomes too large")
    return result
