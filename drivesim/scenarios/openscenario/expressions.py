"""Parameters and expressions of OpenSCENARIO: `$name` and `${...}`."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping

Value = float | bool
MAX_LENGTH = 400
_NAME = re.compile(r"\$([A-Za-z_][\w.]*)")
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "round": round, "floor": math.floor, "ceil": math.ceil, "sqrt": math.sqrt, "pow": math.pow, "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0), "max": max, "min": min,
}  # fmt: skip


class ExpressionError(ValueError):
    """Text that cannot be resolved: what was found and what is accepted."""


def resolve(text: str, parameters: Mapping[str, str]) -> str:
    """Text with its parameter or expression replaced by the value (ASAM OpenSCENARIO XML 1.3, chapter 9)."""
    text = text.strip()
    if text.startswith("${") and text.endswith("}"):
        value = evaluate(text[2:-1], parameters)
        return str(value).lower() if isinstance(value, bool) else repr(float(value))
    if text.startswith("$"):
        name = text[1:]
        if name not in parameters:
            known = ", ".join(sorted(parameters)) or "none, as none are declared"
            raise ExpressionError(f"found the parameter {text[:60]!r}, accepted {known}")
        return resolve(parameters[name], {}) if parameters[name].startswith("${") else parameters[name]
    return text


def evaluate(text: str, parameters: Mapping[str, str]) -> Value:
    """The value of what stands between `${` and `}`: numbers, parameters, arithmetic, comparisons and logic."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"found an expression of {len(text)} characters, accepted at most {MAX_LENGTH}")
    names: dict[str, Value] = {"true": True, "false": False}

    def named(match: re.Match[str]) -> str:
        key = f"p{len(names)}_"
        names[key] = _number(resolve(match[0], parameters), match[0])
        return key

    try:
        tree = ast.parse(_NAME.sub(named, text).strip(), mode="eval")
        value = _value(tree.body, names)
        if not isinstance(value, bool) and not math.isfinite(value):
            raise OverflowError("infinity")
        return value
    except ExpressionError:
        raise
    except (SyntaxError, ValueError, ArithmeticError, TypeError, RecursionError, MemoryError) as error:
        raise ExpressionError(
            f"found the expression {text[:60]!r} ({error}), accepted arithmetic over numbers and parameters"
        ) from None


def _number(text: str, shown: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text)
    except ValueError:
        raise ExpressionError(f"found {shown} with the value {text[:60]!r}, accepted a number") from None


def _value(node: ast.expr, names: Mapping[str, Value]) -> Value:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return float(node.value) if not isinstance(node.value, bool) else node.value
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](float(_value(node.left, names)), float(_value(node.right, names)))
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, names)
        if isinstance(node.op, ast.Not):
            return not inner
        if isinstance(node.op, (ast.USub, ast.UAdd)):
            return -float(inner) if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BoolOp):
        values = [bool(_value(item, names)) for item in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        left, right = float(_value(node.left, names)), float(_value(node.comparators[0], names))
        return _COMPARE[type(node.ops[0])](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        if not node.keywords:
            return float(_FUNCTIONS[node.func.id](*(float(_value(item, names)) for item in node.args)))
    raise ValueError(f"{type(node).__name__} is not accepted")
