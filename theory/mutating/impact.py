"""Which claims a fault can reach: who imports a module, and which functions a check may call."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

Node = tuple[str, str]
"""A module and a name at its top level; its "claims" leave out the checks that they name."""

Graph = Mapping[Node, frozenset[Node]]
FAR = 1_000_000


def imports(tree: ast.AST, modules: Collection[str]) -> dict[str, Node]:
    """Local name -> (module, name) for what a module takes from others; the name is "" for a whole module."""
    found: dict[str, Node] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("theory."):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found[alias.asname or alias.name] = (whole, "") if whole in modules else (str(node.module), alias.name)
    return found


def scope_names(statement: ast.stmt) -> tuple[str, ...]:
    """What a statement at top level defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return (statement.name,)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return tuple(node.id for target in targets if target for node in ast.walk(target) if isinstance(node, ast.Name))


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """A statement and its parts, without the checks that `Claim` calls name."""
    yield node
    check = node.args[4:5] if isinstance(node, ast.Call) and ast.unparse(node.func) == "Claim" else []
    for part in ast.iter_child_nodes(node):
        if part not in check:
            yield from _parts(part)


def graph(sources: Mapping[str, str]) -> Graph:
    r"""Edges from every name at top level to the names that its definition mentions, within the given modules.

    >>> edges = graph({"theory.a": "def f(): return 1", "theory.b": "from theory.a import f\ndef g(): return f()"})
    >>> edges["theory.b", "g"] == {("theory.a", "f")}
    True
    """
    edges: dict[Node, frozenset[Node]] = {}
    for module, source in sources.items():
        tree = ast.parse(source)
        known = imports(tree, sources.keys())
        own = {name for statement in tree.body for name in scope_names(statement)}
        for statement in tree.body:
            seen: set[Node] = set()
            for part in _parts(statement):
                if isinstance(part, ast.Name):
                    seen |= {(module, part.id)} & {(module, name) for name in own}
                    seen |= {known[part.id]} if known.get(part.id, ("", ""))[1] else set()
                elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    place = known.get(part.value.id, ("", "x"))
                    seen |= {(place[0], part.attr)} if not place[1] else set()
            for name in scope_names(statement):
                edges[module, name] = edges.get((module, name), frozenset()) | frozenset(seen)
    return edges


def distances(edges: Graph, targets: frozenset[Node]) -> dict[Node, int]:
    """How many mentions lead from each name to one of the targets; names that no mention leads from are absent."""
    backwards: dict[Node, list[Node]] = {}
    for node, mentioned in edges.items():
        for other in mentioned:
            backwards.setdefault(other, []).append(node)
    found, queue = dict.fromkeys(targets, 0), deque(targets)
    while queue:
        node = queue.popleft()
        for before in backwards.get(node, ()):
            if before not in found:
                found[before] = found[node] + 1
                queue.append(before)
    return found


def imported(sources: Mapping[str, str]) -> dict[str, frozenset[str]]:
    r"""Module -> the modules that it takes something from.

    >>> imported({"theory.a": "def f(): return 1", "theory.b": "from theory.a import f\ndef g(): return f()"})
    {'theory.a': frozenset(), 'theory.b': frozenset({'theory.a'})}
    """
    known = sources.keys()
    taken = {name: imports(ast.parse(source), known).values() for name, source in sources.items()}
    return {name: frozenset(module for module, _ in places) for name, places in taken.items()}


def dependents(taken: Mapping[str, frozenset[str]], module: str) -> frozenset[str]:
    """The modules that import a module, directly or through others, and itself; `taken` is what `imported` gives."""
    found = {module}
    while more := {name for name, places in taken.items() if places & found} - found:
        found |= more
    return frozenset(found)


def origin(check: Callable[..., Any]) -> Node:
    """Where a check is defined, as a name at top level; a check made within a function counts as that function."""
    while hasattr(check, "func"):
        check = check.func
    return check.__module__, check.__qualname__.split(".")[0]
