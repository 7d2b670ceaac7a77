"""Mutation testing of the theory: a fault is planted in a formula, and some claim must notice.

Each mutant runs in a process of its own, forked from one that has loaded the provers: the faulty module replaces the
real one, the modules that import it are loaded again, and the claims that can reach the fault are examined, nearest
first, until one is not established, accepts its twin or raises. Only claims count here; tests do not run.
"""

from __future__ import annotations

import hashlib
import importlib
import multiprocessing
import os
import re
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import theory
from theory.command import Misuse
from theory.mutating.impact import FAR, Node, dependents, distances, graph, imported, origin
from theory.mutating.mutants import Mutant, mutants, scopes
from theory.mutating.sample import Sample

if TYPE_CHECKING:
    from theory.claim import Claim

# What states no formula of the theory: provers (which have tests of their own), printing, commands, tools, and
# `fits`, which are the statistics of measured series.
INFRASTRUCTURE = frozenset(
    {
        "__main__", "bounds", "catalogue", "claim", "command", "files", "findings", "fits", "forecast_report", "latex",
        "mutating.impact", "mutating.mutants", "mutating.mutation", "mutating.sample", "mutating.survivors", "progress",
        "provers.agreement", "provers.balls", "provers.prove", "provers.real_arithmetic", "provers.step",
        "provers.trace_algebra", "row", "strategies", "typeset", "writes.rules",
    }
)  # fmt: skip
PRELOADED = [
    "__main__",
    "scipy.integrate",
    "scipy.stats",
    "scipy.optimize",
    "theory.provers.prove",
    "theory.mutating.mutation",
]
KILLED, SURVIVED, VOID = "killed", "survived", "void"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant; one JSON row.

    Attributes:
        module: where the fault was.
        line: in the source.
        scope: the function or constant.
        change: the fault, as code.
        outcome: "killed"; "survived"; "void" when its process died, or when the claim that noticed fails on the intact
            source too.
        killed_by: the claim, and what it did; for a survivor how many claims can reach the fault.
        seconds: how long it took.
    """

    module: str
    line: int
    scope: str
    change: str
    outcome: str
    killed_by: str
    seconds: float

    @property
    def name(self) -> str:
        """The mutant's name, as `survivors` lists it."""
        return f"{self.module}:{self.scope}: {self.change}"

    @property
    def killer(self) -> str:
        """The id of the claim that noticed, or ""."""
        word = self.killed_by.split(" ")[0]
        return word if self.outcome == KILLED and "." in word else ""


def sources() -> dict[str, str]:
    """The text of every module of theory, by name."""
    room = Path(theory.__file__).parent
    files = sorted(file for file in room.rglob("*.py") if file.name != "__init__.py")
    names = (".".join(("theory", *file.relative_to(room).with_suffix("").parts)) for file in files)
    return {name: file.read_text(encoding="utf-8") for name, file in zip(names, files, strict=True)}


def targets(texts: Mapping[str, str], only: Sequence[str] = ()) -> tuple[str, ...]:
    """The formula modules, or those of them that are asked for by name or family.

    Raises:
        Misuse: a name that is neither.
    """
    known = {name.removeprefix("theory."): name for name in texts}
    formulas = {short: name for short, name in known.items() if short not in INFRASTRUCTURE}
    for asked in only:
        if not any(asked in (short, short.split(".")[0]) for short in formulas):
            raise Misuse(f"there is no formula module {asked!r}; known are {', '.join(formulas)}")
    return tuple(name for short, name in formulas.items() if not only or {short, short.split(".")[0]} & set(only))


def sample(texts: Mapping[str, str], config: Sample) -> tuple[Mutant, ...]:
    """The first `count` mutants by turns from every module, and within a module by turns from its functions."""
    if config.count < 0:
        raise Misuse(f"{config.count} mutants are asked for; give a number from 1 on, or 0 for all")
    modules = targets(texts, config.only)
    turns = -(-config.count // len(modules)) if config.count else 1_000_000
    drawn = {module: draw(module, texts[module], turns, config) for module in modules}
    order = sorted((turn, rank(name, config), name) for names in drawn.values() for turn, name in enumerate(names))
    chosen = {name for _, _, name in order[: config.count or None]}
    found: list[Mutant] = []
    for module in modules:
        places = {name.split(":")[1] for name in chosen if name.startswith(f"{module}:")}
        made = (mutants(module, texts[module], chosen, scope) for scope in scopes(texts[module]) if scope in places)
        found += (mutant for part in made for mutant in part if mutant.name in chosen)
    return tuple(found)


def draw(module: str, text: str, turns: int, config: Sample) -> list[str]:
    """The names of at least `turns` mutants of a module, as far as it has them, in the order in which they are used.

    Functions and mutants stand in the order of a hash of their names, so that a change elsewhere moves nothing here.
    """
    ranked: list[list[str]] = []
    for scope in sorted(scopes(text), key=lambda scope: rank(f"{module}:{scope}", config)):
        names = sorted(
            (mutant.name for mutant in mutants(module, text, (), scope)), key=lambda name: rank(name, config)
        )
        ranked += [names] if names else []
        if len(ranked) >= turns:
            break
    order = sorted((turn, place, name) for place, names in enumerate(ranked) for turn, name in enumerate(names))
    return [name for _, _, name in order]


def rank(name: str, config: Sample) -> str:
    """A mutant's place in the draw: the same on every machine."""
    return hashlib.sha256(f"{config.seed} {name}".encode()).hexdigest()


def run(config: Sample, told: Callable[[Outcome], None] = lambda outcome: None) -> list[Outcome]:
    """Judge a sample of mutants, and confirm that the claims that noticed hold on the intact source.

    Args:
        config: which mutants.
        told: is called with every outcome as it arrives, for a progress bar.

    Returns:
        One outcome a mutant, in the order of modules and lines.

    Raises:
        Misuse: an unknown module, a negative count.
    """
    texts = sources()
    chosen = sample(texts, config)
    edges, taken, found = graph(texts), imported(texts), dict[int, Outcome]()
    again = {module: dependents(taken, module) for module in {mutant.module for mutant in chosen}}
    tasks = [Task(mutant, again[mutant.module], distances(edges, mutant.nodes)) for mutant in chosen]
    for number, answer, seconds in pooled(tasks, config):
        mutant = chosen[number]
        found[number] = Outcome(mutant.module, mutant.line, mutant.scope, mutant.change, *answer, seconds)
        told(found[number])
    broken = unsound({outcome.killer for outcome in found.values() if outcome.killer}, texts, config)
    return [replace(found[i], outcome=VOID) if found[i].killer in broken else found[i] for i in sorted(found)]


def unsound(killers: Iterable[str], texts: Mapping[str, str], config: Sample) -> set[str]:
    """The claims among some that fail without any mutant: what they killed says nothing."""
    homes = {name: room for room in rooms(texts) for name in re.findall(r"\"([A-Z]\d+\w*\.\w+)\"", texts[room])}
    names = sorted(set(killers) & set(homes))
    tasks = [Task(Mutant(homes[name], "", 0, "", texts[homes[name]]), frozenset(), {}, name) for name in names]
    return {names[number] for number, answer, _ in pooled(tasks, config) if answer[0] == KILLED}


class Task(NamedTuple):
    """What a process is to judge.

    Attributes:
        mutant: installed before anything else.
        again: the modules to load again, those that import the mutant's.
        distance: how far each name is from what changed.
        only: one claim of the mutant's own module instead of those that can reach it.
    """

    mutant: Mutant
    again: frozenset[str]
    distance: Mapping[Node, int]
    only: str = ""


Answer = tuple[str, str]


def pooled(tasks: Sequence[Task], config: Sample) -> Iterator[tuple[int, Answer, float]]:
    """Judge each task in a process of its own, `jobs` at a time: its number, the answer, the seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    waiting = list(enumerate(tasks))[::-1]
    running: dict[Connection, tuple[int, Any, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < (config.jobs or os.cpu_count() or 1):
                number, task = waiting.pop()
                ours, theirs = context.Pipe(duplex=False)
                process = context.Process(target=_answer, args=(task, theirs), daemon=True)
                process.start()
                theirs.close()
                running[ours] = (number, process, time.monotonic())
            ready = wait(list(running), timeout=0.5)
            for pipe in list(running):
                number, process, start = running[pipe]
                spent = time.monotonic() - start
                if pipe in ready or spent > config.timeout:
                    yield number, _received(pipe if pipe in ready else None, process), round(spent, 2)
                    del running[pipe]
    finally:
        for _, process, _ in running.values():
            process.kill()


def _received(pipe: Connection | None, process: Any) -> Answer:
    """What a process answered; one that takes too long counts as killed, one that dies without a word as void."""
    try:
        answer: Answer = pipe.recv() if pipe else (KILLED, "timeout")
    except EOFError:
        answer = (VOID, "the process died before it could judge")
    process.kill()
    process.join()
    return answer


def _answer(task: Task, pipe: Connection) -> None:
    pipe.send(judge(task))
    pipe.close()


def judge(task: Task) -> Answer:
    """Install a mutant in this process and examine the claims that can reach it, until one notices."""
    from theory.claim import examine

    examined, label = 0, "loading"
    try:
        for claim in reaching(task):
            examined, label = examined + 1, claim.id
            outcome = examine(claim)
            if not outcome.evidence.established:
                return KILLED, f"{label} is not established"
            if not outcome.twin_rejected:
                return KILLED, f"{label} accepts its twin"
    except Exception as error:  # whatever a faulty formula raises is how it was noticed
        return KILLED, f"{label} raises {type(error).__name__}"
    return SURVIVED, f"{examined} claims reach it"


def install(mutant: Mutant, again: Iterable[str]) -> None:
    """Put the faulty module in the place of the real one, and have the modules that use it loaded again."""
    for name in again:
        package, _, last = name.rpartition(".")
        sys.modules.pop(name, None)
        importlib.import_module(package).__dict__.pop(last, None)
    package, _, last = mutant.module.rpartition(".")
    module = types.ModuleType(mutant.module)
    sys.modules[mutant.module] = module
    setattr(importlib.import_module(package), last, module)
    exec(compile(mutant.source, f"<mutant of {mutant.module}>", "exec"), module.__dict__)


def rooms(texts: Mapping[str, str]) -> tuple[str, ...]:
    """The modules that make claims."""
    return tuple(name for name in texts if "\ndef claims() -> " in texts[name] and name != "theory.catalogue")


def reaching(task: Task) -> Iterator[Claim[Any]]:
    """The claims whose check or subject may use what the mutant changed, nearest first, room by room."""
    mutant, again, distance, only = task
    install(mutant, again)
    if only:
        yield from (claim for claim in sys.modules[mutant.module].__dict__["claims"]() if claim.id == only)
        return
    # A fault that stands outside any function may show in every claim.
    far = 0 if mutant.scope == "" else FAR
    near = {room: min((d for (place, _), d in distance.items() if place == room), default=far) for room in again}
    for room in sorted(near.keys() & set(rooms(sources())), key=lambda room: (near[room], room)):
        if near[room] < FAR:
            # What the subjects use may show in every claim of the room.
            subjects = min(far, distance.get((room, "claims"), FAR))
            claims = importlib.import_module(room).claims()
            ways = {claim.id: min(subjects, distance.get(origin(claim.check), FAR)) for claim in claims}
            yield from sorted((claim for claim in claims if ways[claim.id] < FAR), key=lambda claim: ways[claim.id])
