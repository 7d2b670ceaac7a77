"""The figures by name: what each shows, which run makes its data, and drawing them from a results folder.

Nothing heavy is imported until a figure is drawn, so that `--help` is instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from theory.command import Misuse

if TYPE_CHECKING:
    from figures.results import Run

FORMATS = ("pdf", "png")


class Entry(NamedTuple):
    """One figure.

    Attributes:
        module: the module of this room that makes its table and draws it.
        shows: what is drawn, in a sentence.
        commands: what makes its data; `{results}` stands for the results folder.
        claims: the claims that it belongs to, as openings of their ids ("M1.growth", "S").
    """

    module: str
    shows: str
    commands: tuple[str, ...]
    claims: tuple[str, ...] = ()

    def about(self, id: str) -> bool:
        """Whether the figure belongs to a claim.

        >>> entry = Entry("a", "", (), ("S4.growth",))
        >>> entry.about("S4.growth_soft"), entry.about("S4.mask")
        (True, False)
        """
        return id.startswith(self.claims)


EDIT = tuple(
    f"python -m real_models edit --rule rome --{anchor} --out {{results}}/rome-{anchor}"
    for anchor in ("no-anchor", "anchor")
)
COMPARE = (
    "python -m real_models compare --layers 2 --edits 200 --editors rome rome+nas memit memit+nas alphaedit "
    "alphaedit+nas --out {results}/compare",
)
GALLERY = {
    "log-norm": Entry(
        "log_norm",
        "Norm of the edited weight against edits, with and without NAS: measured (thick); foretold write by write "
        "from the run's own read-outs, values and keys by the identity of rank-one writes (ROME with C = I); a "
        "straight line fitted to the log-norm without NAS; the worst case with NAS.",
        EDIT,
        ("M1.growth", "M1.bounded", "M1.identity"),
    ),
    "values-against-norm": Entry(
        "values_against_norm",
        "Norms of the value read out before each edit and of the solved value against the norm of the edited weight, "
        "with least-squares lines a run; bands: the slope's 95 % interval by a moving-block bootstrap, about the "
        "points' mean.",
        EDIT,
        ("M1.scaling", "M1.proportion", "M2.proportional"),
    ),
    "stream": Entry(
        "stream",
        "Efficacy, generalisation and specificity of the edits so far with one standard error over edits, and the "
        "norm of the edited weight, along the stream, with and without NAS; dotted: the chance floor of a comparison.",
        EDIT,
        ("M1.collapse", "M1.specificity"),
    ),
    "course": Entry(
        "course",
        "Exact and rescaled scores of the edits so far, agreement with the unedited model on held-out text, and the "
        "norm of the edited weight, along the streams of a comparison, every editor with NAS and without: means over "
        "seeds, with their range as a band.",
        COMPARE,
        ("M2.performance", "M2.bounded", "M2.controls"),
    ),
    "norm-against-score": Entry(
        "norm_against_score",
        "Exact score of the edits so far against the norm of the edited weight: a path an editor, means over seeds, a "
        "mark at the stream's end; Spearman's rank correlation along streams without NAS, and over the editors at the "
        "end.",
        COMPARE,
        ("M2.correlation",),
    ),
    "collapse-points": Entry(
        "collapse_points",
        "Collapse points CP@60 of every editor with NAS and without, by two scores: the bracket that the evaluations "
        "leave, a bar a seed; an open arrow where the stream ends before it collapses.",
        COMPARE,
        ("M2.delay",),
    ),
    "ability": Entry(
        "ability",
        "General ability along the stream on held-out text: next-token agreement with the unedited model, and "
        "perplexity in units of the unedited model's; thin: each editor's mean over seeds, thick: the mean of the "
        "editors.",
        COMPARE,
        ("M2.ability",),
    ),
    "anchor-length": Entry(
        "anchor_length",
        "Mean scores along the stream against the anchor's length: a mark a seed, lines through the means; grey: two "
        "standard errors of anchors that are means over 10, 100 and 1,000 pilots.",
        (
            "python -m real_models compare --layers 2 --edits 200 --editors memit+nas:times=0.8 memit+nas "
            "memit+nas:times=1.25 --out {results}/anchors",
        ),
        ("M2.pilots", "M2.one_sided", "M2.drop"),
    ),
    "forecast": Entry(
        "forecast",
        "Collapse points foretold after a fifth of the edits to them, with their 80 % intervals, against the measured "
        "ones; and of streams that do not collapse, what chance of it was told after a fifth of the stream.",
        COMPARE,
        ("M2.forecast",),
    ),
    "overhead": Entry(
        "overhead",
        "Seconds an edit by the textbook path and by this toolkit, in its parts, and what NAS adds to it.",
        ("python -m real_models bench --json {results}/model_editing.json",),
        ("M2.overhead",),
    ),
    "theory-against-simulation": Entry(
        "confronted",
        "Simulated over theory's number for every setting of every simulated claim, with its interval over seeds at "
        "99.994 %: exact in the mean, an approximation, or a bound from above.",
        ("paper-checks --only S --out {results}/paper-checks",),
        ("S",),
    ),
    "memory-norm": Entry(
        "memory_norm",
        "Squared norm of a linear memory along simulated streams, mean and range over seeds, beside theory's law: "
        "growth without NAS, relaxation to the plateau with it, and the steady growth that an adversary attains.",
        (
            "python -m sim grow --rule rome --out {results}/grow",
            "python -m sim grow --rule rome --anchor --edits 400 --out {results}/grow-plateau",
            "python -m sim grow --rule rome --anchor --keys unseen --values free --out {results}/grow-adversary",
        ),
        ("T3.isotropic", "S1.growth", "T5.soft_plateau", "T5.attained"),
    ),
    "control-rates": Entry(
        "control_rates",
        "Certified growth rate of every update rule, and of ROME behind every control of the increment, without NAS "
        "and with it; hollow marks at 0: the certified regime is not exponential.",
        ("python -m sim rules --json {results}/rules.json",),
        ("T4.increment_controls", "T4.relative_clamp"),
    ),
    "precision": Entry(
        "precision",
        "What storing the weight in fewer bits does to a write and to the norm identity: simulated, with intervals "
        "over seeds at 99.994 %, beside theory's number.",
        ("paper-checks --only S4 --out {results}/paper-checks",),
        (
            "S4.changed_entries",
            "S4.storage_noise",
            "S4.stored_change",
            "S4.identity_error",
            "T7.changed_share",
            "T7.storage_noise",
            "T7.stored_change",
            "T7.identity_error",
        ),
    ),
    "spectrum": Entry(
        "spectrum",
        "Eigenvalues of the growth operator of a model's keys, by rank, beside those of isotropic keys in the same "
        "number and dimension.",
        ("python -m real_models keys --layers 2 --edits 600 --out {results}/keys",),
        ("T3.operator", "T3.sample", "T3.at_least", "M1.forecast"),
    ),
    "mutation-map": Entry(
        "mutation",
        "Faults planted in the theory's formulas, module by module: noticed by a claim, survived, or void.",
        ("python -m theory mutate --json {results}/mutants.json",),
    ),
    "growth-phase": Entry(
        "growth_phase",
        "Growth rate of the mean squared norm an edit against the relative clamp, for several key dimensions n: "
        "theory (lines) and simulation (points with 95 % intervals).",
        ("python -m sim phase --out {results}/phase",),
        ("T3.isotropic", "S1.growth", "S4.growth"),
    ),
    "scaling": Entry(
        "scaling",
        "Time an edit of the blocked engine against key dimension n, value dimension m, block size and trials in one "
        "tensor: medians over repeats with their range, and the least-squares exponent with its 95 % interval over the "
        "sizes that the line spans.",
        ("python -m sim scaling --out {results}/scaling",),
    ),
    "certificate": Entry(
        "certificate",
        "Growth certificates: the squared norm of the edited weight at doubling times in every setting, mean of "
        "independent streams with its 95 % interval; dashed: theory's rate, drawn through the last point.",
        ("python -m sim certify memit --out {results}/certificate",),
    ),
}


class Gathered(NamedTuple):
    """What could be drawn.

    Attributes:
        paths: the files written.
        missing: figure -> why it was not drawn, and which commands make its data.
    """

    paths: list[Path]
    missing: dict[str, str]


def draw_figure(name: str, runs: Sequence[Run], out: Path, formats: Sequence[str]) -> list[Path]:
    """Draw one figure from runs that were already read.

    Args:
        name: a key of `GALLERY`.
        runs: what `find_runs` found.
        out: the folder for the files, which are named after the figure.
        formats: among pdf, png and svg.

    Returns:
        The files; none where no run holds the figure's data.
    """
    from figures.compose import write_figure

    entry = GALLERY[name]
    module = import_module(f"figures.{entry.module}")
    df = module.table(runs)
    if df.empty:
        return []
    used = set(df["run"])
    about = {
        "Title": f"norm-anchor-lab: {name}",
        "Description": entry.shows,
        "Keywords": "; ".join(run.provenance for run in runs if run.name in used),
    }
    layout = {"shared": getattr(module, "SHARED", True), "wide": getattr(module, "WIDE", False)}
    return write_figure(df, module.draw, module.FACETS, module.ROW_HEIGHT, out / name, formats, about, **layout)


def draw_one(name: str, results: Path, out: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draw one figure from a results folder.

    Args:
        name: a key of `GALLERY`.
        results: searched recursively for runs.
        out: the folder for the files.
        formats: among pdf, png and svg.

    Returns:
        The files.

    Raises:
        Misuse: the name is unknown, a run cannot be read, or no run holds the figure's data.
    """
    from figures.results import find_runs

    if name not in GALLERY:
        raise Misuse(f"there is no figure {name!r}; choose among {', '.join(GALLERY)}")
    paths = draw_figure(name, find_runs(results), out, formats)
    if not paths:
        raise Misuse(lacking(name, results))
    return paths


def gather(results: Path, out: Path, formats: Sequence[str] = FORMATS) -> Gathered:
    """Draw every figure that a results folder has the data for.

    Raises:
        Misuse: a run cannot be read, or no run holds any figure's data.
    """
    from figures.results import find_runs

    runs = find_runs(results)
    paths: list[Path] = []
    missing: dict[str, str] = {}
    for name in GALLERY:
        drawn = draw_figure(name, runs, out, formats)
        paths += drawn
        if not drawn:
            missing[name] = lacking(name, results)
    if not paths:
        raise Misuse(f"{results} holds no finished run that a figure draws; make one with: {commands(EDIT, results)}")
    return Gathered(paths, missing)


def draw_all(results: Path, out: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draw every figure that a results folder has the data for; `gather` also says what was missing.

    Returns:
        The files, in the order of `GALLERY`.

    Raises:
        Misuse: a run cannot be read, or no run holds any figure's data.
    """
    return gather(results, out, formats).paths


def lacking(name: str, results: Path) -> str:
    """Why a figure was not drawn, and what to run."""
    return f"{results} holds no finished run for {name}; make one with: {commands(GALLERY[name].commands, results)}"


def commands(templates: Sequence[str], results: Path) -> str:
    """Commands for one results folder, to be typed as they stand."""
    import shlex

    return " && ".join(template.format(results=shlex.quote(str(results))) for template in templates)
