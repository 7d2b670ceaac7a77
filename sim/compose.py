"""An editor from words: `memit:weighting=8` with value and delta transforms, or a factory of the user's own."""

from __future__ import annotations

import ast
import difflib
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sim.catalogue import DELTAS, RULES, VALUES, Part
from sim.editor import Edit, Editor, Transform, chain, editor
from sim.settings import MakeEditor, Setting
from theory.command import Misuse, told

Maker = Callable[[Setting], Any]

NUMBERS = ("float", "int", "bool")
"""The annotations of options that a line of text can give; a covariance is for a program to pass."""


def compose(rule: str, values: Sequence[str] = (), deltas: Sequence[str] = ()) -> MakeEditor:
    """An editor for every setting, from names of the catalogue.

    Args:
        rule: "name", "name:option=value,…", or "module:factory" of the user's own, a function of (m, n) that returns an
            `Editor`.
        values: value transforms in order, as "name" or "name:option=value,…".
        deltas: delta transforms in order, likewise.

    Returns:
        setting -> editor.

    Raises:
        Misuse: a name or an option that does not exist, a value that cannot be read, or transforms for a factory,
            whose editor has its own.

    >>> from sim.settings import BASE
    >>> compose("memit:weighting=8", ["nas"])(BASE).form is not None
    True
    """
    name = rule.partition(":")[0]
    if name not in RULES and ":" in rule and "=" not in rule:
        if values or deltas:
            raise Misuse(f"{rule} makes a whole editor, transforms included; leave --values and --deltas out")
        return _own(rule)
    part, own = _chosen(rule, RULES, "rule")
    on_values = [_chosen(text, VALUES, "value transform") for text in values]
    on_deltas = [_chosen(text, DELTAS, "delta transform") for text in deltas]

    def make(setting: Setting) -> Editor:
        before = [part.values()] if part.values else []
        transforms = [*before, *(_made(one, options, setting) for one, options in on_values)]
        filters = [_made(one, options, setting) for one, options in on_deltas]
        return editor(
            _made(part, own, setting),
            values=chain(*transforms) if transforms else None,
            deltas=chain(*filters) if filters else None,
        )

    return make


def by_words(rule: str, values: Sequence[str] = (), deltas: Sequence[str] = ()) -> MakeEditor:
    """`compose`, as a function that another process can be given; mistakes are told here."""
    compose(rule, values, deltas)
    return partial(_by_words, rule, tuple(values), tuple(deltas))


def _by_words(rule: str, values: Sequence[str], deltas: Sequence[str], setting: Setting) -> Editor:
    return compose(rule, values, deltas)(setting)


def chosen_transforms(text: str) -> tuple[list[Maker], list[Maker]]:
    """Value and delta transforms from "name+name:option=value+…", in the order of each kind.

    Args:
        text: names of the catalogue.

    Returns:
        For each kind, setting -> transform.

    Raises:
        Misuse: a name or an option that does not exist.

    >>> [len(kind) for kind in chosen_transforms("clip_relative+rect:share=0.5+nas")]
    [2, 1]
    """
    kinds: tuple[list[Maker], list[Maker]] = ([], [])
    for word in text.split("+"):
        kind = word.partition(":")[0] in DELTAS
        part, options = _chosen(word, {**VALUES, **DELTAS}, "transform")
        kinds[kind].append(partial(_made, part, options))
    return kinds


def chosen_rule(text: str) -> tuple[Maker, Transform[Edit] | None]:
    """A rule of the catalogue from "name" or "name:option=value,…".

    Args:
        text: the rule.

    Returns:
        setting -> solver, and the value transform that belongs to the rule.

    Raises:
        Misuse: a name or an option that does not exist.

    >>> from sim.settings import BASE
    >>> chosen_rule("memit:weighting=8")[0](BASE).form.batches
    True
    """
    part, options = _chosen(text, RULES, "rule")
    return partial(_made, part, options), part.values() if part.values else None


def origin(rule: str) -> dict[str, str]:
    """The file of a factory of the user's own and its hash, so that a certificate says what was certified.

    Args:
        rule: as `compose` takes it, which has imported the factory.

    Returns:
        "editor" -> "FILE, sha256 DIGITS"; nothing for a rule of the catalogue.

    >>> origin("rome")
    {}
    """
    module = sys.modules.get(rule.partition(":")[0])
    if rule.partition(":")[0] in RULES or module is None or module.__file__ is None:
        return {}
    file = Path(module.__file__)
    return {"editor": f"{file.name}, sha256 {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"}


def _made(part: Part, options: Mapping[str, Any], setting: Setting) -> Any:
    return part.make(**{**part.lab(setting), **options})


def _chosen(text: str, parts: Mapping[str, Part], kind: str) -> tuple[Part, dict[str, Any]]:
    """A part of the catalogue with the options that the text gives it."""
    name, _, given = text.partition(":")
    if name not in parts:
        raise Misuse(f"there is no {kind} {name!r}{_hint(name, kind, parts)}; choose among {', '.join(parts)}")
    known = {
        option: str(one.annotation)
        for option, one in inspect.signature(parts[name].make).parameters.items()
        if any(kind in str(one.annotation) for kind in NUMBERS)
    }
    options: dict[str, Any] = {}
    for word in given.split(",") if given else ():
        option, equals, value = word.partition("=")
        if option not in known:
            raise Misuse(f"{name} has no option {option!r}; it has {', '.join(known) or 'none'}")
        options[option] = _number(name, option, value if equals else "", known[option])
    return parts[name], options


def _hint(name: str, kind: str, parts: Mapping[str, Part]) -> str:
    """What was probably meant."""
    for other, option, known in (("value", "--values", VALUES), ("delta", "--deltas", DELTAS)):
        if name in known:
            return f": it is a {other} transform, given as RULE {option} {name}"
    if name in RULES:
        return ": it is a rule, and comes first"
    if kind == "rule" and Path(f"{name.removesuffix('.py')}.py").exists():
        return f": for your own file write {name.removesuffix('.py')}:FUNCTION"
    own = [file.stem for file in Path.cwd().glob("*.py")] if kind == "module" else []
    close = difflib.get_close_matches(name, [*parts, *own], 1)
    return f"; did you mean {close[0]}?" if close else ""


def _number(name: str, option: str, text: str, wanted: str) -> int | float | bool:
    """The option's value; a whole number stands for a real one where that is wanted."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise Misuse(f"{name}'s {option} is {text!r}; write it as {option}=NUMBER") from error
    if not isinstance(value, int | float):
        raise Misuse(f"{name}'s {option} is {text!r}; write it as {option}=NUMBER")
    return float(value) if "float" in wanted else value


def _own(path: str) -> MakeEditor:
    """A factory of the user's own, "module:factory"."""
    module, _, attribute = path.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise Misuse(f"{module} cannot be imported: {told(error)}; mend it and run again") from error
        raise Misuse(
            f"there is no rule and no module {module!r} in this folder{_hint(module, 'module', RULES)}; "
            f"give a file of it as FILE:FUNCTION, or choose among {', '.join(RULES)}"
        ) from error
    except Exception as error:
        raise Misuse(f"{module} cannot be imported: {told(error)}; mend it and run again") from error
    if not callable(found):
        raise Misuse(f"{module} has no function {attribute!r}; write one of (m, n) that returns an Editor")
    try:
        inspect.signature(found).bind(1, 1)
    except TypeError as error:
        arguments = inspect.signature(found)
        raise Misuse(f"{path}{arguments} cannot be called as (m, n); write a function of (m, n)") from error

    def make(setting: Setting) -> Editor:
        try:
            made = found(setting.m, setting.n)
        except Misuse:
            raise
        except Exception as error:
            raise Misuse(
                f"{path}({setting.m}, {setting.n}) raised {told(error)}; it takes (m, n) and returns an Editor"
            ) from error
        if not isinstance(made, Editor):
            raise Misuse(f"{path} returned a {type(made).__name__}, not an Editor; see sim.editor.editor")
        return made

    return make
