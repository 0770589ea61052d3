"""What names of a Python file stand for, without running it: literals, lists, paths, and simple functions.

Only values are computed, by rules of this package; nothing of the file is executed, imported or opened.  What
no rule covers is unknown, with the line it stands in.
"""

import ast
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envbuild.spec.manifests.static_expressions import StaticExpressions
from envbuild.spec.manifests.static_values import (
    CALLS,
    MOST_ITEMS,
    MOST_TEXT,
    PATH_CALLS,
    TEXT_METHODS,
    CannotTellError,
    FileText,
    FunctionReturn,
    LoopControl,
    PathValue,
    Scope,
    Unknown,
    text_size,
)

_MOST_DEPTH = 40
_READING = frozenset({"open", "read", "fopen"})
_VARIABLES = frozenset({"os.environ.get", "os.getenv", "environ.get", "getenv"})
_REQUIREMENT_FILE = re.compile(r"[^\s\"'*?]+\.(?:txt|in|pip)")
_PATH_METHODS: Mapping[str, Callable[..., Any]] = {
    "read_text": lambda path, *_: FileText(posixpath.normpath(path)),
    "read_bytes": lambda path: FileText(posixpath.normpath(path)),
    "open": lambda path, *_: FileText(posixpath.normpath(path)),
    "resolve": lambda path, *_: path,
    "absolute": lambda path: path,
    "joinpath": lambda path, *parts: PathValue(posixpath.join(path, *parts)),
}

OnCall = Callable[[ast.Call, Scope], bool]
"""Told of each call that is a statement; True: it is dealt with."""


@dataclass(slots=True)
class StaticPython(StaticExpressions):
    """Values of one file, statement by statement."""

    on_call: OnCall = lambda _call, _scope: False
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    _depth: int = field(default=0, init=False)

    def follow(self, body: Sequence[ast.stmt], scope: Scope) -> None:
        """Follow statements; what they assign is in ``scope`` then."""
        for statement in body:
            self._statement(statement, scope)

    def _statement(self, node: ast.stmt, scope: Scope) -> None:
        self._step()
        match node:
            case ast.FunctionDef():
                self.functions[node.name] = node
            case ast.Assign(targets=targets, value=ast.expr() as source):
                self._assign_all(targets, source, scope)
            case ast.AnnAssign(target=target, value=ast.expr() as source):
                self._assign_all([target], source, scope)
            case ast.AugAssign(op=ast.Add(), target=ast.Name() | ast.Subscript() as target):
                value = self._sum(self.value(target, scope), self.value(node.value, scope), node)
                self._assign(target, value, scope)
            case ast.Expr(value=ast.Call() as call):
                self._call_statement(call, scope)
            case ast.Return():
                raise FunctionReturn(self.value(node.value, scope) if node.value else None)
            case ast.Continue() | ast.Break():
                raise LoopControl
            case ast.With() | ast.If() | ast.For() | ast.Try():
                self._compound(node, scope)

    def _assign_all(self, targets: Sequence[ast.expr], source: ast.expr, scope: Scope) -> None:
        value = self.value(source, scope)
        for target in targets:
            self._assign(target, value, scope)

    def _compound(self, node: ast.With | ast.If | ast.For | ast.Try, scope: Scope) -> None:
        match node:
            case ast.With():
                for item in node.items:
                    if item.optional_vars is not None:
                        self._assign(item.optional_vars, self.value(item.context_expr, scope), scope)
                self.follow(node.body, scope)
            case ast.If():
                self._if(node, scope)
            case ast.For():
                self._for(node, scope)
            case ast.Try():
                self.follow(node.body, scope)

    def _call_statement(self, call: ast.Call, scope: Scope) -> None:
        if self.on_call(call, scope):
            return
        match call.func:
            case ast.Attribute(value=holder, attr="append" | "extend" | "update" | "add" as attr):
                known = self.value(holder, scope)
                value = self.value(call.args[0], scope) if call.args else None
                if isinstance(known, FileText):
                    known = [known]
                    self._assign(holder, known, scope)
                if isinstance(known, (list, dict)):
                    self._grow(known, attr, value)
            case ast.Name(id=name) if name in self.functions:
                self.value(call, scope)

    def _grow(self, known: Any, attr: str, value: Any) -> None:
        if isinstance(known, dict):
            if isinstance(value, dict):
                known.update(value)
        elif attr == "append" or not isinstance(value, (list, tuple, set)):
            known.append(value)
        elif len(known) + len(value) < MOST_ITEMS:
            known.extend(value)

    def _if(self, node: ast.If, scope: Scope) -> None:
        test = self.value(node.test, scope)
        if isinstance(test, FileText):
            for body in (node.body, node.orelse):
                try:
                    self.follow(body, scope)
                except LoopControl:
                    continue
        elif isinstance(test, Unknown):
            before = {name: _copied(value) for name, value in scope.items()}
            self.follow(node.orelse, scope)
            for name in _assigned(node.body):
                scope[name] = _joined(before.get(name), scope.get(name), test)
        else:
            self.follow(node.body if test else node.orelse, scope)

    def _for(self, node: ast.For, scope: Scope) -> None:
        items = self.value(node.iter, scope)
        if isinstance(items, Unknown):
            for name in _assigned(node.body):
                if isinstance(scope.get(name), list):
                    scope[name] = [*scope[name], Unknown(items.line, f"for … in {items.what}")]
            return
        for item in [items] if isinstance(items, FileText) else list(items)[:MOST_ITEMS]:
            self._assign(node.target, item, scope)
            try:
                self.follow(node.body, scope)
            except LoopControl:
                continue

    def _call(self, node: ast.Call, scope: Scope) -> Any:
        name = ast.unparse(node.func)
        arguments = [item for part in node.args for item in self._items(part, scope)]
        if name.rpartition(".")[2] in _READING and arguments and isinstance(arguments[0], str):
            return FileText(posixpath.normpath(arguments[0]))
        if name == "dict":
            return self._dict_call(node, scope)
        if name in PATH_CALLS or name in CALLS or name in _VARIABLES:
            return self._builtin(name, arguments, node)
        if isinstance(node.func, ast.Name) and name in self.functions:
            return self._own_function(self.functions[name], node, arguments, scope)
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func, scope):
            return self._method(node, node.func, arguments, scope)
        return self._by_name(node, arguments)

    def _dict_call(self, node: ast.Call, scope: Scope) -> dict[Any, Any]:
        """Return the value of ``dict(...)``; what is not sure of it is not sure of all."""
        found: dict[Any, Any] = {}
        for part in node.args:
            found |= dict(self._known(part, scope))
        for keyword in node.keywords:
            if keyword.arg:
                found[keyword.arg] = self.value(keyword.value, scope)
            else:
                found |= self._known(keyword.value, scope)
        return found

    def _builtin(self, name: str, arguments: list[Any], node: ast.Call) -> Any:
        if name in PATH_CALLS:
            return PATH_CALLS[name]([text for text in arguments if isinstance(text, str)])
        if name in _VARIABLES:
            return arguments[1] if len(arguments) > 1 else None  # as with an empty environment
        for argument in arguments:
            if isinstance(argument, FileText):
                return argument
            if isinstance(argument, Unknown):
                raise CannotTellError(node, argument.what)
        return CALLS[name](*arguments)

    def _own_function(
        self, function: ast.FunctionDef, node: ast.Call, arguments: list[Any], scope: Scope
    ) -> Any:
        if self._depth > _MOST_DEPTH:
            raise CannotTellError(node, f"{function.name}()")
        inner = dict(scope)
        names = [argument.arg for argument in function.args.args]
        defaults = function.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            inner[name] = self.value(default, scope)
        inner |= dict(zip(names, arguments, strict=False))
        if function.args.vararg:
            inner[function.args.vararg.arg] = arguments[len(names) :]
        given = {keyword.arg: self.value(keyword.value, scope) for keyword in node.keywords if keyword.arg}
        if function.args.kwarg:
            known = {*names, *(argument.arg for argument in function.args.kwonlyargs)}
            inner[function.args.kwarg.arg] = {key: given[key] for key in given if key not in known}
        inner |= given
        self._depth += 1
        try:
            self.follow(function.body, inner)
        except FunctionReturn as returned:
            if not isinstance(returned.value, Unknown):
                return returned.value
            return self._by_name(node, arguments)
        finally:
            self._depth -= 1
        return None

    def _by_name(self, node: ast.Call, arguments: list[Any]) -> Any:
        """Take a call that is given a requirements file for one that reads it; other calls are unknown."""
        for argument in arguments:
            if isinstance(argument, FileText):
                return argument
            if isinstance(argument, str) and _REQUIREMENT_FILE.fullmatch(argument):
                return FileText(posixpath.normpath(argument))
        raise CannotTellError(node, f"{ast.unparse(node.func)[:60]}()")

    def _method(self, node: ast.Call, func: ast.Attribute, arguments: list[Any], scope: Scope) -> Any:
        value = self._known(func.value, scope)
        if isinstance(value, FileText):
            return value
        if any(isinstance(argument, (Unknown, FileText)) for argument in arguments):
            raise CannotTellError(node, ast.unparse(node)[:60])
        if isinstance(value, PathValue) and func.attr in _PATH_METHODS:
            return _PATH_METHODS[func.attr](value, *arguments)
        if isinstance(value, str) and func.attr in TEXT_METHODS:
            if len(value) * text_size(arguments) > MOST_TEXT or (func.attr == "format" and ":" in value):
                raise CannotTellError(node, ast.unparse(node)[:60])
            keywords = {
                keyword.arg: self._known(keyword.value, scope) for keyword in node.keywords if keyword.arg
            }
            return getattr(str, func.attr)(value, *arguments, **keywords)
        if isinstance(value, dict) and func.attr in {"keys", "values", "items"}:
            return [list(item) if isinstance(item, tuple) else item for item in getattr(value, func.attr)()]
        if isinstance(value, (list, dict)) and func.attr in {"copy", "get"}:
            return getattr(value, func.attr)(*arguments)
        return self._by_name(node, arguments)


def _is_module(func: ast.Attribute, scope: Scope) -> bool:
    return isinstance(func.value, ast.Name) and func.value.id not in scope


def _assigned(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the names that statements may change."""
    for node in (inner for statement in body for inner in ast.walk(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend" | "update")):
                yield name


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, (list, dict)) else value


def _joined(before: Any, after: Any, test: Unknown) -> Any:
    """Return a value that a condition may have changed: lists keep what is sure, and tell what is not."""
    value = after if after is not None else before
    unknown = Unknown(test.line, f"if {test.what}")
    if isinstance(value, (list, FileText)):
        return [*(value if isinstance(value, list) else [value]), unknown]
    return unknown if before is None else value
