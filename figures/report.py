"""The report: one HTML file with the claims, their derivations and the figures, which needs nothing beside it."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from figures.findings import OPEN, Line, summary
from figures.gallery import GALLERY, commands, draw_figure
from figures.places import find_places
from figures.report_claims import AGAINST, Shown, linked, read_claims, related, show_claims
from figures.report_text import shown
from figures.results import PROVENANCE, Run, find_runs
from theory.claim import Kind, Verdict
from theory.command import Misuse
from theory.files import check_folder, write_text

PAGE = "index.html"
CHECKOUT = Path(__file__).parent.parent
RESULTS = Path("results")
"""What the report calls the folder of results, wherever it lay."""


class Picture(NamedTuple):
    """A figure of the report: a PNG in base64, its size in pixels, and what is said of it."""

    name: str
    title: str
    alt: str
    caption: str
    data: str
    width: int
    height: int
    commands: str
    claims: tuple[str, ...]


class Absent(NamedTuple):
    """A figure for which no data were found, and the commands that make them."""

    name: str
    caption: str
    commands: str


def write_report(claims: Path, results: Sequence[Path], out: Path) -> Path:
    """Write the report.

    Args:
        claims: a claims.json of `paper-checks`; the provenance.json beside it is told too, if there is one.
        results: folders that are searched for runs, of which the figures are drawn.
        out: the folder for index.html, which is made if missing.

    Returns:
        The path of index.html.

    Raises:
        Misuse: a file cannot be read, a claim cannot be rendered, or `out` is no folder.
        OSError: the folder cannot be written.
    """
    check_folder(out)
    rows = read_claims(claims)
    found = all_runs(results)
    pictures, absent = draw_pictures(found, [row["id"] for row in rows])
    made = show_claims(rows, [picture.name for picture in pictures], find_places(CHECKOUT))
    findings = [line for line in summary(rows) if line.says]
    page = render(made, pictures, absent, findings, read_provenance(claims.with_name(PROVENANCE)))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / PAGE, page)
    return out / PAGE


def all_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """The runs of several folders, none twice; where two folders have a run of one name, the folder's is put before."""
    runs: list[Run] = []
    seen: set[tuple[Path, str, str]] = set()
    for folder in folders:
        for run in find_runs(folder):
            place = (run.folder.resolve(), run.kind, run.name.rsplit("/", 1)[-1])
            if place in seen:
                continue
            seen.add(place)
            taken = any(run.name == other.name for other in runs)
            runs.append(replace(run, name=f"{folder.resolve().name}/{run.name}") if taken else run)
    return tuple(runs)


def draw_pictures(runs: Sequence[Run], ids: Sequence[str]) -> tuple[list[Picture], list[Absent]]:
    """Draw every figure that the runs have the data for.

    Args:
        runs: what was found.
        ids: the claims of the report, among which each figure finds its own.

    Returns:
        The figures, and those without data.
    """
    pictures: list[Picture] = []
    absent: list[Absent] = []
    with TemporaryDirectory() as folder:
        for name, entry in GALLERY.items():
            made = commands(entry.commands, RESULTS)
            paths = draw_figure(name, runs, Path(folder), ("png",))
            if not paths:
                absent.append(Absent(name, entry.shows, made))
                continue
            content = paths[0].read_bytes()
            width, height = struct.unpack(">II", content[16:24])
            title = name.replace("-", " ").capitalize()
            subject = re.split(r"[:;.]", entry.shows)[0]
            own = tuple(id for id in ids if entry.about(id))
            data = base64.b64encode(content).decode("ascii")
            alt = f"Plot. {subject}."
            pictures.append(Picture(name, title, alt, entry.shows, data, width, height, made, own))
    return pictures, absent


def read_provenance(path: Path) -> dict[str, str]:
    """The provenance beside claims.json, by name; empty without one."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Misuse(f"{path} is not readable JSON ({error}); write it again with: paper-checks") from error
    if not isinstance(content, dict):
        raise Misuse(f"{path} holds no JSON object; write it again with: paper-checks")
    return {str(name): str(value) for name, value in content.items()}


def render(
    claims: Sequence[Shown],
    pictures: Sequence[Picture],
    absent: Sequence[Absent],
    findings: Sequence[Line],
    provenance: dict[str, str],
) -> str:
    """The page.

    Args:
        claims: what `show_claims` made.
        pictures: the figures.
        absent: figures without data.
        findings: the lines of the summary.
        provenance: names and values, such as the commit.

    Returns:
        HTML.
    """
    place = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(place),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.jinja").render(
        claims=claims,
        kinds=count([claim.kind for claim in claims], list(Kind)),
        verdicts=count([claim.verdict for claim in claims], list(Verdict)),
        families=count([name for claim in claims for name in claim.families], []),
        against=[(verdict, [claim for claim in claims if claim.verdict == verdict]) for verdict in AGAINST],
        twins=[claim.id for claim in claims if claim.rejected is not None],
        accepted=[claim.id for claim in claims if claim.rejected is False],
        related=related(claims),
        pictures=pictures,
        titles={picture.name: picture.title for picture in pictures},
        absent=absent,
        findings=[(line.verdict, shown(line.says), line.claims) for line in findings],
        remarks=[linked(remark, {claim.id for claim in claims}) for remark in OPEN],
        provenance=provenance,
        not_measured=Verdict.NOT_MEASURED,
    )


def count(found: Sequence[str], known: Sequence[str]) -> dict[str, int]:
    """How often each name was found: the known names in their order, then any others in reading order.

    >>> count(["T3b", "P2", "P10", "P2"], []), count(["b"], ["a", "b"])
    ({'P2': 2, 'P10': 1, 'T3b': 1}, {'a': 0, 'b': 1})
    """

    def place(name: str) -> tuple[str, int, str]:
        return name[:1], int("0" + "".join(re.findall(r"\d+", name)[:1])), name

    names: list[Any] = [*known, *sorted(set(found) - set(known), key=place)]
    return {str(name): sum(one == name for one in found) for name in names}
