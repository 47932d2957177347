"""Expressions such as `n_objects > 20 and area < 1024`, computed without running any code of theirs."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda value, container: value in container,
    ast.NotIn: lambda value, container: value not in container,
}
ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
ALLOWED = (
    "names, attributes of mappings (attributes.occluded), numbers, texts in quotes, lists, comparisons, in, and, or, "
    "not, + - * /"
)


class Expression:
    """A condition on named values.

    A value that is missing is None: it equals only None, and every other comparison with it, or with what is made of
    it, is false.

    Args:
        text: in Python's syntax.

    Attributes:
        names: that it asks for, in the order of the alphabet.

    Raises:
        ValueError: it is not such an expression.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._body = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ValueError(f"'{text}' is not an expression ({reason}); it may hold {ALLOWED}") from error
        names: set[str] = set()
        self._check(self._body, names)
        self.names = sorted(names)

    def __call__(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds.

        Raises:
            ValueError: values cannot be compared, such as a text with a number.
        """
        try:
            return bool(self._value(self._body, values))
        except (TypeError, ZeroDivisionError) as error:
            given = ", ".join(f"{name}={values.get(name)!r}" for name in self.names)
            raise ValueError(f"'{self.text}' cannot be computed for {given}: {error}") from error

    def _check(self, node: ast.expr, names: set[str]) -> None:
        match node:
            case ast.Name():
                names.add(node.id)
            case ast.Constant(value=bool() | int() | float() | str() | None):
                pass
            case (
                ast.Attribute(value=ast.Name() | ast.Attribute())
                | ast.Tuple()
                | ast.List()
                | ast.BoolOp()
                | ast.UnaryOp(op=ast.Not() | ast.USub())
            ):
                pass
            case ast.Compare() if all(type(op) in COMPARISONS for op in node.ops):
                pass
            case ast.BinOp() if type(node.op) in ARITHMETIC:
                pass
            case _:
                raise ValueError(f"'{ast.unparse(node)}' in '{self.text}' is not allowed; it may hold {ALLOWED}")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._check(child, names)

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Name():
                return values.get(node.id)
            case ast.Constant():
                return node.value
            case ast.Attribute():
                parent = self._value(node.value, values)
                return parent.get(node.attr) if isinstance(parent, Mapping) else None
            case ast.Tuple() | ast.List():
                return [self._value(child, values) for child in node.elts]
            case ast.BoolOp(op=ast.And()):
                return all(self._value(child, values) for child in node.values)
            case ast.BoolOp():
                return any(self._value(child, values) for child in node.values)
            case ast.UnaryOp(op=ast.Not()):
                return not self._value(node.operand, values)
            case ast.UnaryOp():
                operand = self._value(node.operand, values)
                return None if operand is None else -operand
            case ast.BinOp():
                left, right = self._value(node.left, values), self._value(node.right, values)
                return None if left is None or right is None else ARITHMETIC[type(node.op)](left, right)
            case ast.Compare():
                sides = [self._value(child, values) for child in (node.left, *node.comparators)]
                return all(map(_compare, node.ops, sides, sides[1:]))
        raise AssertionError(node)


def _compare(op: ast.cmpop, left: Any, right: Any) -> bool:
    if not isinstance(op, ast.Eq | ast.NotEq) and (right is None or (left is None and not isinstance(right, list))):
        return False
    return bool(COMPARISONS[type(op)](left, right))
