"""The report holds every claim, escapes everything, loads nothing, and refuses what it cannot show."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from figures.__main__ import main
from figures.gallery import GALLERY
from figures.mathml import formula
from figures.report import write_report
from figures.report_text import derivation, from_tex, shown
from theory.command import Misuse

MakeRun = Callable[..., Path]
VOID = {"meta", "link", "img", "br", "wbr", "input"}
LOADS = {"src", "srcset", "data", "poster", "action", "background"}


@dataclass
class Page(HTMLParser):
    """A page as a strict reader sees it: its faults, ids, links, what it loads, and its text by element."""

    faults: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    tags: Counter[str] = field(default_factory=Counter)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        self.faults += [f"{tag} has {name} twice" for name, n in Counter(names).items() if n > 1]
        self.faults += [f"attribute {name!r} of {tag}" for name in names if not re.fullmatch(r"[a-z-]+", name)]
        self.tags[tag] += 1
        self.open += [] if tag in VOID else [tag]
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in LOADS or (name == "href" and tag == "link"):
                self.loaded.append(value or "")
            elif name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data


def read(source: str) -> Page:
    page = Page()
    page.feed(source)
    page.close()
    page.faults += [f"<{tag}> is never closed" for tag in page.open]
    page.faults += [f"the id {name!r} stands twice" for name, n in Counter(page.ids).items() if n > 1]
    page.faults += [f"{link} leads nowhere" for link in page.links if link[:1] == "#" and link[1:] not in page.ids]
    page.faults += [f"{place} is loaded" for place in page.loaded if not place.startswith("data:")]
    page.faults += [f"{found} in the style" for found in re.findall(r"url\(|@import|@font-face", source)]
    page.faults += [f"{link} is no place" for link in page.links if not link.startswith(("#", "https://arxiv.org/"))]
    return page


@pytest.fixture(scope="module")
def written(report_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(report_folder / "claims.json", [report_folder], tmp_path_factory.mktemp("page")).read_text()


def rows_of(folder: Path) -> list[dict]:
    return json.loads((folder / "claims.json").read_text(encoding="utf-8"))


def report_of(rows: list[dict], folder: Path) -> str:
    """A report of other rows, without figures."""
    (folder / "claims.json").write_text(json.dumps(rows), encoding="utf-8")
    return write_report(folder / "claims.json", [folder], folder / "out").read_text(encoding="utf-8")


def test_the_page_is_whole_and_loads_nothing(written: str) -> None:
    page = read(written)
    assert page.faults == []
    assert page.tags["script"] == page.tags["style"] == page.tags["main"] == page.tags["h1"] == 1
    assert "\\" not in page.text


def test_the_summary_says_what_the_claims_come_to_and_where_they_stand(report_folder: Path, tmp_path: Path) -> None:
    row = rows_of(report_folder)[0] | {"verdict": "false as stated"}
    ids = ("T1.frobenius_counterexample", "T3.no_growth_unweighted")
    page = report_of([row | {"id": id} for id in ids], tmp_path)
    said = "keep the norm from growing"
    assert said in read(page).text
    assert "theory/writes/norms.py" in read(page).text
    assert "is not known to be attained" in read(page).text
    assert said not in report_of([row | {"id": ids[0]}], tmp_path)


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ("<p>", "</main> closes nothing"),
        ('<a href="#nowhere">x</a>', "#nowhere leads nowhere"),
        ('<img src="https://x.org/a.png" alt="">', "https://x.org/a.png is loaded"),
        ('<p id="claims"></p>', "the id 'claims' stands twice"),
        ('<p title="a" title="b"></p>', "p has title twice"),
    ],
)
def test_a_planted_fault_is_seen(written: str, planted: str, fault: str) -> None:
    assert fault in read(written.replace("<main>", f"<main>{planted}")).faults


def test_it_holds_every_claim_with_its_evidence(written: str, report_folder: Path) -> None:
    page = read(written)
    for row in rows_of(report_folder):
        assert row["id"] in page.ids
        assert row["command"].replace("&&", "&amp;&amp;") in written
    for part in ("7 of 7 planted twins", "trace algebra", "z3", "in words", "1.05 to 1.07", "0 to ∞", "1·10⁻⁹", "≈"):
        assert part in page.text
    assert "large models" in page.text
    assert "abc1234" in page.text
    assert page.tags["math"] > 20
    assert page.tags["mfrac"] > 30


def test_verdicts_are_counted_and_what_does_not_hold_is_named(written: str) -> None:
    summary = written[written.index('id="summary"') : written.index('id="claims"')]
    for number, verdict in ((4, "holds"), (1, "conditional"), (1, "false as stated"), (1, "undecided")):
        assert re.search(rf"<b>{number}</b><span[^>]*>{verdict}<", summary)
    for id in ("T5.short", "S4.growth_soft", "P8.large"):
        assert f'href="#{id}"' in summary
    assert "T1.rome" not in summary


def test_an_accepted_twin_is_told(report_folder: Path, tmp_path: Path) -> None:
    rows = rows_of(report_folder)
    rows[0]["twin_rejected"] = False
    page = report_of(rows, tmp_path)
    assert "6 of 7 planted twins" in page
    assert "Planted twin, ACCEPTED" in page


def test_what_belongs_together_is_linked(written: str) -> None:
    def part(id: str) -> str:
        return written[(at := written.index(f'id="{id}"')) : written.index("</tbody>\n", at + 1)]

    growth = written[written.index('id="S1.growth"') : written.index('id="S4.growth_soft"')]
    assert 'href="#T3.hostile"' in growth  # named in its source, so that T1 does not count
    assert 'href="#T1.rome"' not in growth
    assert 'href="#figure-growth-phase"' in growth
    assert 'href="#S1.growth"' in part("T3.hostile")
    assert 'href="#M1.growth"' in part("T1.rome")
    figure = written[written.index('id="figure-growth-phase"') :].split("</figure>")[0]
    assert 'href="#S1.growth"' in figure
    assert "python -m sim phase --out results/phase" in figure


def test_figures_are_drawn_and_the_rest_named(written: str, tmp_path: Path) -> None:
    page = read(written)
    drawn = {name for name in GALLERY if f"figure-{name}" in page.ids}
    assert drawn == {"log-norm", "values-against-norm", "stream", "growth-phase"}
    assert page.tags["img"] == len(drawn)
    assert len(re.findall(r'<img [^>]*alt="Plot\. [^"]{20,}"', written)) == len(drawn)
    assert str(tmp_path) not in written
    for name in set(GALLERY) - drawn:
        assert f"<dt>{name}</dt>" in written


def test_figures_name_claims_that_there_are() -> None:
    """Those of theory and of simulations; M1 and M2 belong to runs."""
    from sim.claims import claims as of_memories
    from theory.catalogue import claims as of_theory

    made = [*of_theory(), *of_memories("quick")]
    ids = [claim.id for claim in made]
    openings = [one for entry in GALLERY.values() for one in entry.claims]
    assert [one for one in openings if one[0] != "M" and not any(id.startswith(one) for id in ids)] == []
    assert sum(one[0] == "M" for one in openings) >= 15
    for claim in made:
        for line in (claim.statement, claim.twin_statement):
            assert "\\" not in shown(line)


def test_several_folders_give_each_run_once(report_folder: Path, tmp_path: Path, scaling_run: MakeRun) -> None:
    scaling_run(tmp_path / "record" / "scaling")
    folders = [report_folder, report_folder / "runs", tmp_path / "record"]
    page = write_report(report_folder / "claims.json", folders, tmp_path / "out").read_text("utf-8")
    assert 'id="figure-scaling"' in page
    alone = write_report(report_folder / "claims.json", [report_folder], tmp_path / "b").read_text("utf-8")

    def picture(source: str) -> str:
        return source[source.index('id="figure-log-norm"') :].split("</figure>")[0]

    assert picture(page) == picture(alone)


def test_the_command_writes_it_without_a_picture_too(
    report_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    claims, out = report_folder / "claims.json", tmp_path / "a" / "b"
    assert main(["report", "--claims", str(claims), "--results", str(tmp_path / "empty"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out / 'index.html'}\n"
    source = (out / "index.html").read_text("utf-8")
    assert read(source).faults == []
    assert "The folders hold no data of any figure." in source


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not readable JSON"),
        ("[]", "holds no list of claims"),
        ('[{"id": "a"}]', "the claim a lacks the field 'source'"),
        (None, "there is no file"),
    ],
)
def test_bad_claims_end_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "claims.json").write_text(content)
    line = ["report", "--claims", str(tmp_path / "claims.json"), "--results", str(tmp_path), "--out", str(tmp_path)]
    assert main(line) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("python -m figures: ")
    assert says in told
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("change", [{"statement": "漢 = 1"}, {"derivation": [r"\item $\frob{x}$"]}, {"id": "T1.rome"}])
def test_a_claim_that_cannot_be_shown_is_refused(report_folder: Path, tmp_path: Path, change: dict) -> None:
    rows = rows_of(report_folder)
    rows[1] |= change
    with pytest.raises(Misuse, match=r"the claim T3\.hostile cannot be shown|holds the claim T1\.rome twice"):
        report_of(rows, tmp_path)


def test_an_out_that_is_a_file_is_named(report_folder: Path) -> None:
    place = report_folder / "claims.json"
    with pytest.raises(Misuse, match=r"claims\.json is a file; name a folder"):
        write_report(place, [report_folder], place)


@pytest.mark.parametrize(
    ("source", "mathml"),
    [
        ("-x", '<mo form="prefix">−</mo><mi>x</mi>'),
        ("a*b", '<mi>a</mi><mo form="infix">·</mo><mi>b</mi>'),
        (r"\|v*\|", '<mi>v</mi><mo lspace="0" rspace="0">*</mo>'),
        (r"2*\|v\|", '<mo form="infix">·</mo>'),
        (
            "W'^{2}_{F}",
            '<msubsup><mrow><mi>W</mi><mo lspace="0" rspace="0">′</mo></mrow><mi>F</mi><mn>2</mn></msubsup>',
        ),
        ("x^{2}{}^{t}", "<msup><mi>x</mi><mn>2</mn></msup><msup><mrow></mrow><mi>t</mi></msup>"),
        (r"\hat{k}", '<mover accent="true"><mi>k</mi><mo stretchy="false">^</mo></mover>'),
        (r"\sqrt[3]{x}", "<mroot><mi>x</mi><mrow><mn>3</mn></mrow></mroot>"),
        (r"\mathrm{log}x", '<mi>log</mi><mspace width="0.17em"/><mi>x</mi>'),
        (r"\Sigma\mathbb{R}", '<mi mathvariant="normal">Σ</mi><mi>ℝ</mi>'),
        ("1e-15", "<mn>1e−15</mn>"),
        (r"\left(\frac{1}{2}\right)", "<mfrac><mn>1</mn><mn>2</mn></mfrac>"),
    ],
)
def test_formulas(source: str, mathml: str) -> None:
    assert mathml in formula(source)
    assert read(formula(source)).faults == []


@pytest.mark.parametrize(
    "source",
    [r"\foo", "漢", "{x", "x}", "x^", r"\frac{1}", r"\left(x", r"\right)", "x_{1}_{2}", r"\mathrm{a b\%}", "a\\"],
)
def test_a_formula_that_is_not_known_raises(source: str) -> None:
    with pytest.raises(ValueError, match=r"figures/mathml\.py"):
        formula(source)


@pytest.mark.parametrize("line", [r"so \emph{it} holds", r"a $ sign", "{}", r"\\"])
def test_words_that_are_not_known_raise(line: str) -> None:
    with pytest.raises(ValueError, match="has no HTML here"):
        from_tex(line)
    with pytest.raises(ValueError, match="no step of a derivation"):
        derivation([line])


def test_a_long_formula_may_be_broken_at_relations_and_sums() -> None:
    made = formula(r"a + b = f(c + d) + e + f + g \leq 1")
    assert made.count("<wbr>") >= 4
    assert '<mi>c</mi><mo form="infix">+</mo><mi>d</mi>' in made  # not within brackets
    assert "<wbr>" not in formula("a + b = c")


def test_a_comma_stays_with_its_formula() -> None:
    made = shown("so x = y, and z")
    assert re.search(r'<span class="tie"><math>.*</math>,</span> and z$', made)
    assert "tie" not in shown("so x = y and z")


def test_words_are_escaped_and_keep_their_signs() -> None:
    assert shown("5 % of “a” – b_c & `x --y <z>`") == (
        "5 % of “a” – <math><msub><mi>b</mi><mi>c</mi></msub></math> &amp; <code>x --y &lt;z&gt;</code>"
    )
    rejected = derivation([r"\item it: $a$ $\neq b$\prover{z3} \textbf{(rejected)}"])[0]
    assert rejected.rejected
    assert rejected.prover == "z3"
