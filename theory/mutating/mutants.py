"""Small faults to plant in a formula: every place of a source where one sign, factor, power or letter can be changed.

| fault | from | to |
|---|---|---|
| operator | a + b, a − b, a·b, a/b | a − b, a + b, a/b, a·b |
| sign | −a | a |
| number | 0, 1, 2, 3, …, 1/2 | the next, and 1 for 2; 1 for 1/2 |
| power of η | η | η² |
| transpose | X.T | X |
| inverse | "M⁻¹" | "M", and back where a module knows both |
| comparison | <, ≤, =, ≠ | >, ≥, ≠, = |
| arguments | f(a, b) | f(b, a) |

What does not carry the mathematics stays as it is: docstrings, types, error branches, words of a proof, precisions of a
numerical route, the names in a claim, and its planted twin, which is false already.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from theory.mutating.impact import scope_names

OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
SHARES = {"ETA", "eta"}
# Calls whose arguments are names or words, or that only report.
WORDLESS = {
    "say",
    "evidence",
    "symbols",
    "Symbol",
    "Misuse",
    "Undecided",
    "ValueError",
    "demand",
    "workdps",
    "Dummy",
    "Function",
}
NAMED_STEPS = {"equal", "follows", "holds", "certified", "agree"}  # their first argument is a name
# Arguments that may be exchanged without changing the meaning, or that are not a formula's.
SYMMETRIC = {
    "max", "min", "And", "Or", "Eq", "Ne", "Equivalent", "Xor", "inverses", "zip", "isinstance", "getattr", "dot",
    "array_equal", "gcd", "Add", "Mul", "hypot", "maximum", "minimum", "product", "belongs",
}  # fmt: skip
PRECISIONS = {
    "rtol", "atol", "epsabs", "epsrel", "limit", "depth", "dps", "digits", "agree", "segments", "maxn", "tol", "seed",
    "maxiter", "xtol", "verify", "ndigits", "maxsteps", "tolerance", "precision", "step", "nodes", "terms", "rounding",
    "patience",
}  # fmt: skip
SUBJECT = 5  # of Claim's positional arguments; before it stand names, after it the twin


@dataclass(frozen=True)
class Mutant:
    """A module with one fault.

    Attributes:
        module: its name, such as "theory.writes.norms".
        scope: the function, class or constant that holds the fault; "" for another line of the module.
        line: where, in the source as it stands.
        change: what was changed, as code, such as "a + b → a - b".
        source: the whole module with the fault; "" where only names were asked for.
    """

    module: str
    scope: str
    line: int
    change: str
    source: str = ""

    @property
    def name(self) -> str:
        """What a list of survivors calls it: it does not move with the lines of its file."""
        return f"{self.module}:{self.scope}: {self.change}"

    @property
    def nodes(self) -> frozenset[tuple[str, str]]:
        """The names at top level that hold the fault."""
        return frozenset((self.module, name) for name in self.scope.split(", "))


@dataclass(frozen=True)
class Site:
    """A place in a tree, and what may stand there instead."""

    scope: str
    line: int
    parent: ast.AST
    field: str
    index: int | None
    new: ast.AST


def scopes(source: str) -> tuple[str, ...]:
    """The functions, classes and constants of a source, each once.

    >>> scopes("a, b = 1, 2")
    ('a, b',)
    """
    return tuple(dict.fromkeys(map(_scope, ast.parse(source).body)))


def mutants(
    module: str, source: str, planted: Container[str] | None = None, scope: str | None = None
) -> tuple[Mutant, ...]:
    r"""Every mutant of a source, in the order of its lines.

    Args:
        module: the module's name.
        source: its text.
        planted: the names of the mutants whose source is wanted; None is all.
        scope: only the faults of this function or constant.

    Two equal changes in one scope are told apart by a count: "n - 1 → n + 1 (2)".

    >>> [mutant.change for mutant in mutants("x", "def f(n):\n    return -n + 1")]
    ['return -n + 1 → return -n - 1', '-n + 1 → n + 1', '-n + 1 → -n + 2']
    """
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen: dict[tuple[str, str], int] = {}
    for site in sites(tree, inverse_letters(tree), scope):
        before = ast.unparse(site.parent)
        old = _swap(site, site.new)
        change = f"{shortened(before)} → {shortened(ast.unparse(site.parent))}"
        if len(before) > LONG:
            change = f"{shortened(ast.unparse(old))} → {shortened(ast.unparse(site.new))} in {shortened(before)}"
        count = seen[site.scope, change] = seen.get((site.scope, change), 0) + 1
        named = Mutant(module, site.scope, site.line, change if count == 1 else f"{change} ({count})")
        found.append(replace(named, source=ast.unparse(tree)) if planted is None or named.name in planted else named)
        _swap(site, old)
    return tuple(found)


LONG = 60  # characters of code that a name may hold


def shortened(code: str) -> str:
    """Code on one line of at most `LONG` characters."""
    line = " ".join(code.split())
    return line if len(line) <= LONG else f"{line[: LONG - 1]}…"


def _swap(site: Site, new: ast.AST) -> ast.AST:
    """Put a node at a site; returns the one that stood there."""
    if site.index is None:
        old = getattr(site.parent, site.field)
        setattr(site.parent, site.field, new)
    else:
        old = getattr(site.parent, site.field)[site.index]
        getattr(site.parent, site.field)[site.index] = new
    return old


def inverse_letters(tree: ast.AST) -> frozenset[str]:
    """The letters of a module that stand there with their inverses."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(text for text in texts if f"{text}⁻¹" in texts)


def sites(tree: ast.Module, letters: frozenset[str], scope: str | None = None) -> Iterator[Site]:
    """Every place of a module, or of one of its scopes, where a fault can be planted."""
    for place, statement in enumerate(tree.body):
        if scope in (None, _scope(statement)):
            yield from _within(statement, tree, "body", place, _scope(statement), letters)


def _scope(statement: ast.stmt) -> str:
    return ", ".join(scope_names(statement))


def _within(
    node: ast.AST, parent: ast.AST, field: str, index: int | None, scope: str, letters: frozenset[str]
) -> Iterator[Site]:
    if _spared(node):
        return
    for new in faults(node, parent, field, letters):
        yield Site(scope, getattr(node, "lineno", getattr(parent, "lineno", 0)), parent, field, index, new)
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST) and name not in ("annotation", "returns", "ctx", "op"):
            yield from _within(value, node, name, None, scope, letters)
        elif isinstance(value, list):
            for place, part in enumerate(value):
                if isinstance(part, ast.AST) and _formula(node, name, place):
                    yield from _within(part, node, name, place, scope, letters)


def called(node: ast.AST) -> str:
    """The last name of what a call calls; "" for anything else."""
    return ast.unparse(node.func).rsplit(".", 1)[-1] if isinstance(node, ast.Call) else ""


def _spared(node: ast.AST) -> bool:
    match node:
        case ast.Raise() | ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Assert():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(body=[*_, ast.Raise()]):
            return True
        case ast.FunctionDef(returns=ast.Name(id="str")):
            return True  # it makes words of numbers
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name.lower() in PRECISIONS
        case ast.FunctionDef(returns=ast.Constant(value=None)):
            return any(isinstance(part, ast.Raise) for part in ast.walk(node))  # it only refuses wrong arguments
        case ast.Expr(value=ast.Call()):
            return called(node.value).startswith(("check", "demand", "require"))
        case ast.keyword(arg=str() as name):
            return name in PRECISIONS
        case ast.Call():
            return called(node) in WORDLESS
    return False


def _formula(node: ast.AST, field: str, place: int) -> bool:
    """Whether a node's part in a list belongs to the mathematics."""
    if isinstance(node, ast.arguments) and field in ("defaults", "kw_defaults"):
        named = node.kwonlyargs if field == "kw_defaults" else [*node.posonlyargs, *node.args][-len(node.defaults) :]
        return named[place].arg not in PRECISIONS
    if field == "decorator_list" or (field == "bases" and isinstance(node, ast.ClassDef)):
        return False
    if field == "args" and called(node) == "Claim":
        return place == SUBJECT
    if field == "keywords" and called(node) == "Claim":
        return isinstance(node, ast.Call) and node.keywords[place].arg == "subject"
    return not (field == "args" and place == 0 and called(node) in NAMED_STEPS)


def faults(node: ast.AST, parent: ast.AST, field: str, letters: frozenset[str]) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    match node:
        case ast.BinOp(op=op) if type(op) in OPPOSITE:
            yield _with(node, op=OPPOSITE[type(op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield node.operand
        case ast.Compare(ops=[op]) if type(op) in OPPOSITE:
            yield _with(node, ops=[OPPOSITE[type(op)]()])
        case ast.Compare(ops=ops) if all(type(op) in OPPOSITE for op in ops):
            yield _with(node, ops=[OPPOSITE[type(op)]() for op in ops])
        case ast.Attribute(attr="T", value=value):
            yield value
        case ast.Constant(value=bool()):
            return
        case ast.Constant(value=int() | float() as number) if number == int(number) and number < 1000:
            yield ast.Constant(type(number)(number + 1))
            if number == 2:
                yield ast.Constant(type(number)(1))
        case ast.Constant(value=0.5):
            yield ast.Constant(1.0)
        case ast.Constant(value=str() as text) if text.endswith("⁻¹") and text[:-2] in letters:
            yield from [ast.Constant(text[:-2])] * _spelled(parent, field)
        case ast.Constant(value=str() as text) if text in letters:
            yield from [ast.Constant(f"{text}⁻¹")] * _spelled(parent, field)
        case ast.Name(id=name, ctx=ast.Load()) if name in SHARES and not isinstance(parent, ast.Call | ast.Attribute):
            powered = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow)
            yield from [ast.BinOp(ast.Name(name, ast.Load()), ast.Pow(), ast.Constant(2))] * (not powered)
        case ast.Call(args=[first, second]) if called(node) not in SYMMETRIC | NAMED_STEPS | {"range", "Claim", "map"}:
            if ast.unparse(first) != ast.unparse(second) and not isinstance(first, ast.Starred):
                yield _with(node, args=[second, first])


def _spelled(parent: ast.AST, field: str) -> bool:
    """Whether a letter stands where a formula reads it, not where an algebra declares it."""
    return (isinstance(parent, ast.Call) and field == "args" and called(parent) not in ("inverses", "commuting")) or (
        isinstance(parent, ast.Tuple)
    )


def _with(node: ast.AST, **changed: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in changed.items():
        setattr(other, name, value)
    return other
