"""paper_checks.md, the claims in code and the tests name the same ids, and the main job keeps its promises."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import paper_checks
from figures.account import account
from figures.findings import FINDINGS, number, summary
from figures.places import Place, find_places
from paper_checks import UNMEASURED, Options, chosen, collect, examined, plain, run
from theory.catalogue import select
from theory.claim import Claim, Evidence, Kind, Verdict, examine
from theory.command import Misuse

ROOT = Path(__file__).parent.parent


def ids_in_code():
    return {claim.id for claim in collect("quick", Path("nowhere"))} | {row.id for row in UNMEASURED}


def ids_in_account(text):
    return set(re.findall(r'^\| <a id="([A-Z]\d+b?\.\w+)"></a>\1 \|', text, flags=re.MULTILINE))


def ids_in_tests():
    found = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.claim":
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
    return found


@pytest.mark.claim("P8.large", "P9.large", "P12.tasks", "P13.large", "M2.gpu")
def test_account_code_and_tests_name_the_same_claims():
    """A claim that nothing measures is a row, too."""
    written = ids_in_account((ROOT / "paper_checks.md").read_text(encoding="utf-8"))
    assert written == ids_in_code()
    assert ids_in_tests() == ids_in_code()


def test_every_claim_has_a_twin_and_a_command():
    claims = collect("full", Path("nowhere"))
    assert len({claim.id for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.twin_statement
        assert claim.command.startswith("python -m ")


def toy(accepts_twin=False):
    def check(n):
        return Evidence(n == 1 or accepts_twin)

    return Claim("X.toy", "a test", Kind.PROVED, "1 = 1", check, 1, 2, "2 = 1", command="python -m x")


def test_an_accepted_twin_fails_the_run_and_a_false_claim_does_not(tmp_path, monkeypatch):
    options = Options(only=("X",), out=tmp_path)
    for claim, status in ((toy(), 0), (toy(accepts_twin=True), 1), (replace(toy(), subject=3), 0)):
        monkeypatch.setattr(paper_checks, "collect", lambda level, out, only, claim=claim: (claim,))
        assert run(options) == status
    (row,) = json.loads((tmp_path / "claims.json").read_text())
    assert row["verdict"] == "false as stated"
    assert row["twin_rejected"] is True


def test_a_refutation_that_fails_leaves_its_claim_undecided():
    refuted = replace(toy(), verdict=Verdict.FALSE)
    assert examine(refuted).verdict is Verdict.FALSE
    assert examine(replace(refuted, subject=3)).verdict is Verdict.UNDECIDED


def test_a_measurement_that_leaves_a_claim_open_does_not_refute_it():
    claim = replace(toy(), check=lambda n: Evidence(n == 1, undecided=n == 3))
    verdicts = [examine(replace(claim, subject=n)).verdict for n in (1, 2, 3)]
    assert verdicts == [Verdict.HOLDS, Verdict.FALSE, Verdict.UNDECIDED]


def test_claims_json_has_the_promised_fields(tmp_path, capsys):
    assert run(Options(only=("T1.rome",), out=tmp_path)) == 0
    (row,) = json.loads((tmp_path / "claims.json").read_text(encoding="utf-8"))
    promised = {"id", "source", "kind", "statement", "verdict", "measured", "expected", "tolerance", "interval"}
    assert promised | {"seconds", "command"} <= row.keys()
    assert (row["id"], row["verdict"], row["kind"]) == ("T1.rome", "holds", "proved")
    assert "1 planted twins rejected, none accepted" in capsys.readouterr().out


def test_a_report_is_written_beside(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paper_checks, "collect", lambda level, out, only: (toy(), *select(["T1.rome"])))
    (tmp_path / "record").mkdir()
    monkeypatch.setattr(paper_checks, "RESULTS", tmp_path / "record")
    assert run(Options(out=tmp_path / "out", report=tmp_path / "page")) == 0
    assert f"wrote {tmp_path / 'page' / 'index.html'}" in capsys.readouterr().out
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    for id in ("X.toy", "T1.rome", *(row.id for row in UNMEASURED)):
        assert f'id="{id}"' in page
    assert "trace algebra" in page
    with pytest.raises(Misuse, match="is a file; name a folder"):
        run(Options(out=tmp_path / "out", report=tmp_path / "page" / "index.html"))


MADE = {"python": "3.11", "torch": "2.13", "transformers": "5.24"}


def test_the_account_is_written_from_rows():
    rows = [plain(row) for row in (examined(toy()), *UNMEASURED)]
    text = account(rows, "quick", MADE, {"X.toy": Place("theory/x.py", ("tests/test_x.py",))})
    assert ids_in_account(text) == {row.id for row in UNMEASURED}
    assert '<a id="X.toy"></a>X.toy | a test | holds | 1 = 1 |' in text
    assert "[code](theory/x.py) [test](tests/test_x.py) |" in text
    assert "6 claims: holds 1, not measured here 5.\n1 of 1 planted false twins were rejected" in text
    assert "- **not measured here**: [P8.large](#P8.large), [P9.large](#P9.large), " in text
    assert "| P8 | **not measured here**: [P8.large](#P8.large) |" in text


def test_a_simulated_claim_s_number_names_its_setting():
    settings = [{"setting": "n = 4", "measured": 1.0}, {"setting": "n = 9", "measured": 0.5}]
    row = plain(examined(toy())) | {"kind": "simulated", "measured": 0.5, "interval": (0.4, 0.6), "compared": settings}
    text = account([row], "quick", MADE, {})
    assert "| 0.5 \\[0.4, 0.6]; of 2 settings the farthest off, n = 9 |" in text


def test_a_finding_is_said_only_of_claims_that_came_to_its_verdict():
    finding = next(one for one in FINDINGS if "{" in one.says)
    same = {"verdict": str(finding.verdict), "measured": 0.25, "interval": (0.1, 0.5)}
    rows = [{"id": id} | same for id in finding.claims]
    (line,) = summary(rows)
    assert line.verdict == finding.verdict
    assert "0.25 [0.1, 0.5]" in line.says
    assert "{" not in line.says
    rows[0] |= {"verdict": "undecided"}
    other, left = summary(rows)
    assert other.verdict == "not as summed up"
    assert other.says.startswith(f"{rows[0]['id']} undecided; ")
    assert left.claims == (rows[0]["id"],)
    assert summary(rows[1:]) == []


def test_findings_speak_of_claims_that_exist():
    for finding in FINDINGS:
        assert set(finding.claims) <= ids_in_code()
        assert set(re.findall(r"\{([^}]*)\}", finding.says)) <= set(finding.claims)


def test_the_account_is_ten_lines_and_its_links_lead_somewhere():
    text = (ROOT / "paper_checks.md").read_text(encoding="utf-8")
    first = text.split("\n- ")[1:]
    assert len([line for line in first if line.startswith("**")]) == 10
    assert "**not as summed up**" not in text
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    links = set(re.findall(r"(?<!\\)\[[^\]]*\]\(([^#)]+)\)", text))
    assert all((ROOT / path).is_file() for path in links)
    places = find_places(ROOT)
    for id in ids_in_code():
        assert places[id].code, id
        assert f'"{id}"' in (ROOT / places[id].code).read_text(encoding="utf-8")
        assert all(f'"{id}"' in (ROOT / path).read_text(encoding="utf-8") for path in places[id].tests)
        assert f"[code]({places[id].code})" in text


def test_a_folder_without_tests_has_no_places(tmp_path):
    assert find_places(tmp_path) == {}


def test_numbers_that_are_not_finite_stay_strict_json():
    row = replace(examined(toy()), measured=float("nan"), interval=(0.0, float("inf")))
    json.dumps(plain(row), allow_nan=False)
    assert plain(row)["interval"] == [0.0, "inf"]
    assert number(float("inf")) == "inf"


def test_only_takes_families_and_ids_and_names_the_known_ones():
    claims = collect("quick", Path("nowhere"))
    assert {claim.id.split(".")[0] for claim in chosen(claims, ("T5", "T1.rome"))} == {"T5", "T1"}
    assert len(chosen(claims, ("T1.rome",))) == 1
    assert {claim.id[0] for claim in chosen(claims, ("T",))} == {"T"}
    assert len(chosen(claims, ("T",))) >= 30
    with pytest.raises(Misuse, match=r"--only T9 names no claim; use a family \(T1, "):
        chosen(claims, ("T9",))


def test_only_asks_the_rooms_that_it_names():
    """And an id begins with its room's letter: the three rooms together are all of it."""
    parts = [[claim.id for claim in collect("quick", Path("nowhere"), (letter,))] for letter in "TSM"]
    assert {id[0] for part in parts for id in part} == set("TSM")
    for other in ((), ("T1", "S", "M1.identity"), ("T1", "Q")):
        assert [claim.id for claim in collect("quick", Path("nowhere"), other)] == [id for part in parts for id in part]
    code = "import sys, pathlib, paper_checks as p; p.collect('quick', pathlib.Path('x'), ('T5', 'T1.rome'))\n"
    code += "print('transformers' in sys.modules, 'sim.claims' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]


def test_write_needs_every_claim(tmp_path):
    with pytest.raises(Misuse, match="leave --only out"):
        run(Options(only=("T1",), out=tmp_path, write=True))


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--only", "nothing"], 2, "names no claim"),
        (["--level", "thorough"], 2, "level"),
        (["--outt", "x"], 2, "outt"),
        (["--only", "T1.rome", "--out", "/dev/null/x"], 2, "choose a folder you can write to"),
    ],
)
def test_mistakes_end_with_status_2(words, status, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["paper-checks", *words])
    try:
        ended = paper_checks.main()
    except SystemExit as error:
        ended = error.code
    assert ended == status
    told = capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told


@pytest.mark.parametrize("module", ["theory", "sim", "real_models", "figures", "paper_checks"])
def test_help_loads_nothing_heavy(module):
    """What makes --help slow is importing these; their absence is what can be tested without a clock."""
    code = (
        f"import sys, runpy; sys.argv = ['{module}', '--help']\n"
        f"try: runpy.run_module('{module}', run_name='__main__', alter_sys=True)\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch', 'transformers', 'sympy', 'z3', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_readme_has_the_two_lines_and_its_python_runs(capsys):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("pip install")]
    assert lines == ["pip install -e '.[test]' && paper-checks", "pip install -e '.[test]' && pytest"]
    own, block = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    assert own in (ROOT / "docs" / "certify.md").read_text(encoding="utf-8"), "the walk-through's test runs that one"
    exec(compile(block, "README.md", "exec"), {})
    eta, norm = map(float, capsys.readouterr().out.split())
    assert 0 < eta < 1 < norm
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (ROOT / picture).exists()


def test_every_command_of_the_readme_parses():
    """Each line is given --help in place of running: an option that no longer exists would end with status 2."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m (theory|sim|real_models|figures) (\w+)(.*)$", text, flags=re.MULTILINE)
    assert len(commands) >= 7
    for room, name, rest in commands:
        known = subprocess.run(
            [sys.executable, "-m", room, name, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        assert all(option in known for option in re.findall(r"--[a-z-]+", rest)), (room, name)
