"""What a parameter of a configuration's targets is for: its type, and the lines of the docstring that speak of it.

Our own classes are read from their source, not imported: an answer does not wait for torch then.
"""

import ast
import functools
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from maskrcnn.config.check import resolve_target
from maskrcnn.config.groups import PACKAGE
from maskrcnn.config.parameters import read_parameters

BUILTINS: dict[str, Any] = {one.__name__: one for one in (bool, int, float, str, list, dict, tuple)}


class Parameter(NamedTuple):
    """One argument of a class or function."""

    type: str
    default: str | None  # of a library; ours have none
    line: int


class Target(NamedTuple):
    """A class or function that a configuration names."""

    name: str
    file: Path
    line: int
    doc: str
    parameters: dict[str, Parameter]


def read_target(target: str, key: str, plugins: list[str]) -> Target:
    """Looks a target up: ours in the source, others by importing them. The key is of its node, for messages.

    Raises:
        ValueError: as `resolve_target`.
    """
    if target.startswith("maskrcnn."):
        module, _, name = target.rpartition(".")
        found = _definition(_file(module), name)
        if isinstance(found, (ast.ClassDef, ast.FunctionDef)):
            return _from_source(target, _file(module), found)
    made = resolve_target(target, key, plugins)
    line = inspect.getsourcelines(made)[1]
    parameters = {
        name: Parameter(_annotated(p.annotation), None if p.default is p.empty else repr(p.default), line)
        for name, p in read_parameters(made).named.items()
    }
    documented = [made, getattr(made, "__init__"), *(getattr(made, "__mro__", ())[1:-1])]
    doc = "\n\n".join(dict.fromkeys(filter(None, map(inspect.getdoc, documented))))
    return Target(target, Path(inspect.getsourcefile(made) or ""), line, doc, parameters)


def annotations(target: str) -> dict[str, Any]:
    """The annotations of the parameters of a class or function of ours, without importing it; none of another.

    A class stands for all of ours, and Any for what cannot be told from the source.
    """
    module, _, name = target.rpartition(".")
    made = _definition(_file(module), name) if target.startswith("maskrcnn.") else None
    return {
        one.arg: _evaluated(one.annotation, _file(module))
        for one in (_parameters(made) if isinstance(made, (ast.ClassDef, ast.FunctionDef)) else [])
        if one.annotation is not None
    }


def _evaluated(node: ast.AST, file: Path) -> Any:
    if isinstance(node, ast.BinOp):
        return _evaluated(node.left, file) | _evaluated(node.right, file)
    if isinstance(node, ast.Constant):  # None, or the dots of tuple[int, ...]
        return node.value
    if isinstance(node, ast.Subscript):
        inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        name = ast.unparse(node.value)
        if name == "Literal":
            return Literal[tuple(ast.literal_eval(one) for one in inside)]
        if name in ("list", "dict", "tuple"):
            return BUILTINS[name][tuple(_evaluated(one, file) for one in inside)]
        return Target if name == "Callable" else Any
    name = ast.unparse(node)
    if name in BUILTINS:
        return BUILTINS[name]
    _, where, found = _imported(file, name)
    if isinstance(found, ast.ClassDef):
        return Target
    return _evaluated(found, where) if found is not None else Any


def _annotated(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return "not stated"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation).replace("typing.", "")


def meaning(target: Target, name: str) -> str:
    """The docstring's words on a parameter; "" where there are none. `see X` is followed to X's docstring."""
    text = argument(target.doc, name, list(target.parameters))
    other = re.search(r"\bsee `(\w+)`", text)
    if other is not None and target.name.startswith("maskrcnn."):
        module, _, found = _imported(target.file, other[1])
        if isinstance(found, (ast.ClassDef, ast.FunctionDef)):
            referred = _from_source(other[1], _file(module), found)
            more = argument(referred.doc, name, list(referred.parameters))
            return f"{text} {other[1]}: {more}" if more else text
    return text


def argument(doc: str, name: str, parameters: list[str]) -> str:
    """The words of a docstring's "Args:" on one parameter.

    Args:
        doc: with entries "a: ...", "a, b: ...", "a: ...; b: ..." or "a (float): ...".
        name: the parameter; parameters: all names, by which the heads of "a: ...; b: ..." are told from other colons.
    """
    for entry in _entries(doc):
        heads = [
            head
            for head in re.finditer(r"(?:^|(?<=; )|(?<=\. ))([\w*, ]+?)(?: ?\([^:]*?\))?: ", f"{entry} ")
            if all(word.strip(" *") in parameters for word in head[1].split(","))
        ]
        for head, following in zip(heads, [*heads[1:], None]):
            if name in re.split(r", ?", head[1]):
                text = entry[head.end() : None if following is None else following.start()]
                return text.strip().rstrip(";")
    return ""


def _entries(doc: str) -> Iterator[str]:
    """The entries of all "Args:" of a docstring, each on one line; of a long one the first paragraph."""
    lines = doc.split("\n")
    for start, title in enumerate(lines):
        if title.strip() not in ("Args:", "Arguments:", "Parameters:"):
            continue
        above = len(title) - len(title.lstrip())
        entry: list[str] = []
        ended, depth = False, None
        for line in lines[start + 1 :]:
            indent = len(line) - len(line.lstrip())
            if line.strip() and indent <= above:
                break
            depth = indent if depth is None and line.strip() else depth
            if line.strip() and indent == depth:
                yield " ".join(entry)
                entry, ended = [line.strip()], False
            elif not line.strip():
                ended = True
            elif not ended:
                entry.append(line.strip())
        yield " ".join(entry)


def _file(module: str) -> Path:
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _statements(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text(encoding="utf-8")).body


def _definition(file: Path, name: str) -> ast.AST | None:
    """The class, function or value that a module of ours gives a name."""
    for node in _statements(file) if file.is_file() else []:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
        if isinstance(node, ast.Assign) and [ast.unparse(one) for one in node.targets] == [name]:
            return node.value
    return None


def _imported(file: Path, name: str) -> tuple[str, Path, ast.AST | None]:
    """Where a name that a file of ours uses comes from, and what it is: module, file and definition."""
    own = ".".join(("maskrcnn", *file.relative_to(PACKAGE).with_suffix("").parts))
    for node in _statements(file):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("maskrcnn."):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    module = str(node.module)
                    return module, _file(module), _definition(_file(module), alias.name)
    return own, file, _definition(file, name)


def _from_source(target: str, file: Path, found: ast.ClassDef | ast.FunctionDef) -> Target:
    parameters = {
        one.arg: Parameter(_words(one.annotation, file) if one.annotation else "not stated", None, one.lineno)
        for one in _parameters(found)
    }
    return Target(target, file, found.lineno, ast.get_docstring(found) or "", parameters)


def _parameters(found: ast.ClassDef | ast.FunctionDef) -> list[ast.arg]:
    made: ast.ClassDef | ast.FunctionDef = found
    if isinstance(found, ast.ClassDef):
        made = next((n for n in found.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), found)
    every = [*made.args.args, *made.args.kwonlyargs] if isinstance(made, ast.FunctionDef) else []
    return [one for one in every if one.arg != "self"]


def _words(node: ast.AST, file: Path) -> str:
    """An annotation as the configuration's user writes it, in the words of `check`."""
    if isinstance(node, ast.BinOp):
        return f"{_words(node.left, file)} or {_words(node.right, file)}"
    if isinstance(node, ast.Constant) and node.value is None:
        return "null"
    if isinstance(node, ast.Subscript):
        name = ast.unparse(node.value)
        if name == "Literal":
            inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return "one of " + ", ".join(str(ast.literal_eval(one)) for one in inside)
        return "a mapping with a _target_" if name == "Callable" else ast.unparse(node)
    name = ast.unparse(node)
    _, where, found = _imported(file, name)
    if found is not None and not isinstance(found, ast.ClassDef):
        return _words(found, where)
    return name if name in ("bool", "int", "float", "str", "Any") else "a mapping with a _target_"
