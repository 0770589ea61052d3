"""Expressions of a Python file, computed by rules of this module and never run."""

import ast
import operator as operators
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from envbuild.spec.manifests.static_values import (
    MOST_ITEMS,
    MOST_TEXT,
    CannotTellError,
    FileText,
    PathValue,
    Scope,
    TooMuchError,
    Unknown,
    text_size,
)

MOST_STEPS = 50_000
"""Expressions evaluated of one file."""

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operators.eq,
    ast.NotEq: operators.ne,
    ast.Lt: operators.lt,
    ast.LtE: operators.le,
    ast.Gt: operators.gt,
    ast.GtE: operators.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: operators.is_,
    ast.IsNot: operators.is_not,
}


@dataclass(slots=True)
class StaticExpressions:
    """Values of expressions; calls are for those who follow statements too."""

    file: str
    python: tuple[int, ...] = (3, 12)
    _steps: int = field(default=0, init=False)
    _rules: ClassVar[Mapping[type[ast.expr], str]] = {
        ast.Name: "_name",
        ast.List: "_list",
        ast.Tuple: "_list",
        ast.Set: "_list",
        ast.Dict: "_dict",
        ast.BinOp: "_operation",
        ast.JoinedStr: "_joined_text",
        ast.Subscript: "_subscript",
        ast.ListComp: "_comprehension",
        ast.GeneratorExp: "_comprehension",
        ast.SetComp: "_comprehension",
        ast.DictComp: "_comprehension",
        ast.IfExp: "_choice",
        ast.BoolOp: "_condition",
        ast.Compare: "_condition",
        ast.UnaryOp: "_condition",
        ast.Attribute: "_attribute",
        ast.Call: "_call",
    }

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """Return the value of an expression, or an :class:`Unknown`."""
        try:
            return self._value(node, scope)
        except CannotTellError as error:
            return error.unknown
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, re.error):
            return Unknown(node.lineno, ast.unparse(node)[:60])

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuchError

    def _call(self, node: ast.Call, scope: Scope) -> Any:  # noqa: ARG002
        raise CannotTellError(node, ast.unparse(node.func)[:60])

    def _assign(self, target: ast.expr, value: Any, scope: Scope) -> None:
        match target:
            case ast.Name(id=name):
                scope[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                values = value if isinstance(value, (list, tuple)) and len(value) == len(parts) else None
                for index, part in enumerate(parts):
                    self._assign(part, values[index] if values else value, scope)
            case ast.Subscript(value=ast.Name(id=name)) if isinstance(scope.get(name), dict):
                key = self.value(target.slice, scope)
                if isinstance(key, str):
                    scope[name][key] = value

    def _value(self, node: ast.expr, scope: Scope) -> Any:
        self._step()
        if isinstance(node, ast.Constant):
            return node.value
        rule = self._rules.get(type(node))
        if rule is None:
            raise CannotTellError(node, ast.unparse(node)[:60])
        return getattr(self, rule)(node, scope)

    def _known(self, node: ast.expr, scope: Scope) -> Any:
        value = self._value(node, scope)
        if isinstance(value, Unknown):
            raise CannotTellError(node, value.what)
        return value

    def _list(self, node: ast.List, scope: Scope) -> list[Any]:
        return [item for part in node.elts for item in self._items(part, scope)]

    def _joined_text(self, node: ast.JoinedStr, scope: Scope) -> str:
        parts = [self._text_of(part, scope) for part in node.values]
        if text_size(parts) > MOST_TEXT:
            raise TooMuchError
        return "".join(parts)

    def _name(self, node: ast.Name, scope: Scope) -> Any:
        name = node.id
        if name == "__file__":
            return PathValue(self.file)
        if name == "__name__":
            return "__main__"
        if name not in scope:
            raise CannotTellError(node, name)
        return scope[name]

    def _items(self, node: ast.expr, scope: Scope) -> Iterator[Any]:
        """Yield the items one part of a list stands for; an unknown one is told as such."""
        if isinstance(node, ast.Starred):
            value = self.value(node.value, scope)
            yield from value if isinstance(value, (list, tuple)) else [value]
        else:
            yield self.value(node, scope)

    def _dict(self, node: ast.Dict, scope: Scope) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= self._known(value, scope)
            else:
                found[self._known(key, scope)] = self.value(value, scope)
        return found

    def _operation(self, node: ast.BinOp, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if isinstance(node.op, ast.Add):
            return self._sum(left, right, node)
        if isinstance(node.op, ast.Div) and isinstance(left, PathValue):
            return PathValue(posixpath.join(left, right))
        if isinstance(node.op, ast.Mod) and isinstance(left, str) and isinstance(right, (str, int, list)):
            if re.search(r"%[^sd%]", left):
                raise CannotTellError(node, ast.unparse(node)[:60])
            return left % (tuple(right) if isinstance(right, list) else right)
        raise CannotTellError(node, ast.unparse(node)[:60])

    def _sum(self, left: Any, right: Any, node: ast.AST) -> Any:
        if isinstance(left, (list, tuple)) or isinstance(right, (list, tuple)):
            parts = [list(side) if isinstance(side, (list, tuple)) else [side] for side in (left, right)]
            if sum(map(len, parts)) > MOST_ITEMS:
                raise CannotTellError(node, "a list of thousands of items")
            return parts[0] + parts[1]
        if isinstance(left, str) and isinstance(right, str) and len(left) + len(right) < MOST_TEXT:
            return left + right
        for side in (left, right):
            if isinstance(side, (FileText, Unknown)):
                return side
        return Unknown(getattr(node, "lineno", 1), "a sum")

    def _text_of(self, node: ast.expr, scope: Scope) -> str:
        if isinstance(node, ast.FormattedValue):
            if node.format_spec is not None:
                raise CannotTellError(node, "a format")
            node = node.value
        value = self._known(node, scope)
        if isinstance(value, (str, int, float)):
            return str(value)
        raise CannotTellError(node, ast.unparse(node)[:60])

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Any:
        if ast.unparse(node.value) == "sys.version_info":
            return self._python_part(node, scope)
        value = self._known(node.value, scope)
        if isinstance(value, FileText):
            return value
        if isinstance(node.slice, ast.Slice):
            bounds = [
                self._known(part, scope) if part else None for part in (node.slice.lower, node.slice.upper)
            ]
            return value[bounds[0] : bounds[1]]
        return value[self._known(node.slice, scope)]

    def _python_part(self, node: ast.Subscript, scope: Scope) -> Any:
        if isinstance(node.slice, ast.Slice):
            upper = self._known(node.slice.upper, scope) if node.slice.upper else None
            return list(self.python[:upper])
        return self.python[self._known(node.slice, scope)]

    def _comprehension(self, node: Any, scope: Scope) -> Any:
        if len(node.generators) != 1:
            raise CannotTellError(node, ast.unparse(node)[:60])
        loop = node.generators[0]
        items = self._known(loop.iter, scope)
        if isinstance(items, FileText):
            return items
        inner = dict(scope)
        found: list[Any] = []
        for item in list(items)[:MOST_ITEMS]:
            self._assign(loop.target, item, inner)
            tests = [self.value(test, inner) for test in loop.ifs]
            if all(test and not isinstance(test, Unknown) for test in tests):
                if isinstance(node, ast.DictComp):
                    found.append((self._known(node.key, inner), self.value(node.value, inner)))
                else:
                    found.append(
                        item if isinstance(item, (FileText, Unknown)) else self.value(node.elt, inner)
                    )
        return dict(found) if isinstance(node, ast.DictComp) else found

    def _choice(self, node: ast.IfExp, scope: Scope) -> Any:
        return self._value(node.body if self._known(node.test, scope) else node.orelse, scope)

    def _condition(self, node: Any, scope: Scope) -> Any:
        match node:
            case ast.UnaryOp(op=ast.Not()):
                value = self._known(node.operand, scope)
                return value if isinstance(value, FileText) else not value
            case ast.UnaryOp(op=ast.USub()):
                return -self._known(node.operand, scope)
            case ast.BoolOp():
                return self._and_or(node, scope)
            case ast.Compare(ops=[operator], comparators=[other]):
                return self._comparison(operator, node.left, other, scope)
        raise CannotTellError(node, ast.unparse(node)[:60])

    def _and_or(self, node: ast.BoolOp, scope: Scope) -> Any:
        is_and = isinstance(node.op, ast.And)
        value: Any = is_and
        for part in node.values:
            value = self._known(part, scope)
            if isinstance(value, FileText) or bool(value) is not is_and:
                break
        return value

    def _comparison(self, operator: ast.cmpop, one: ast.expr, other: ast.expr, scope: Scope) -> Any:
        left, right = self._known(one, scope), self._known(other, scope)
        for side in (left, right):
            if isinstance(side, FileText):
                return side
        text_size([left, right])  # nothing nested is compared
        left, right = (tuple(side) if isinstance(side, list) else side for side in (left, right))
        if type(operator) not in _COMPARISONS:
            raise CannotTellError(one, ast.unparse(one)[:60])
        return _COMPARISONS[type(operator)](left, right)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        name = ast.unparse(node)
        known: dict[str, Any] = {
            "sys.version_info": list(self.python),
            "sys.platform": "linux",
            "os.name": "posix",
        }
        if name in known:
            return known[name]
        value = self._known(node.value, scope)
        if isinstance(value, PathValue):
            if node.attr == "parent":
                return PathValue(posixpath.dirname(value))
            if node.attr == "name":
                return posixpath.basename(value)
        raise CannotTellError(node, name[:60])
