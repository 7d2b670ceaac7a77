"""The site: every module has an API page, links lead where they led in the repository, and the strict build passes."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from formulas import escaped, readable
from pages import api_pages, api_tree, destination, modules, page_of, relinked

ROOT = Path(__file__).parent.parent
PLACES = {"index.md", "certify.md", "figures/log-norm.png", "tutorials/check-a-proof.md", page_of("theory.claim")}


def leaves(tree):
    for node in tree:
        if isinstance(node, str):
            yield node
        else:
            for inside in node.values():
                yield from [inside] if isinstance(inside, str) else leaves(inside)


def test_every_module_has_a_page_and_every_page_a_place_in_the_navigation():
    places = [place for place, _ in api_pages()]
    assert len(places) == len(set(places)) == len(modules())
    assert sorted(leaves(api_tree(modules()))) == sorted(places)
    assert {"theory", "theory.writes", "theory.writes.norms", "paper_checks"} <= set(modules())


@pytest.mark.parametrize(
    ("page", "link", "becomes"),
    [
        ("index.md", "[a](docs/certify.md#laws)", "[a](certify.md#laws)"),
        ("index.md", "![a](docs/figures/log-norm.png)", "![a](figures/log-norm.png)"),
        ("index.md", "[a](https://b.org/c)", "[a](https://b.org/c)"),
        ("certify.md", "[a](../README.md)", "[a](index.md)"),
        ("certify.md", "[a](../benchmarks/results/certificates.json)", "a (`benchmarks/results/certificates.json`)"),
        ("certify.md", "[a](../benchmarks/nothing.json)", "[a](../benchmarks/nothing.json)"),
        ("certify.md", "[a](nothing.md)", "[a](nothing.md)"),
        ("tutorials/check-a-proof.md", "[a](../../theory/claim.py)", "[a](../api/theory/claim.md)"),
        ("tutorials/check-a-proof.md", "[a](../certify.md)", "[a](../certify.md)"),
    ],
)
def test_a_link_leads_to_the_page_of_what_it_led_to(page, link, becomes):
    assert relinked(f"x {link} y", page, PLACES) == f"x {becomes} y"


def test_a_file_outside_the_site_has_no_page():
    assert destination("pyproject.toml", PLACES) is None
    assert destination("sim/nothing.py", PLACES) is None


def test_formulas_are_not_read_as_markdown():
    assert escaped("E[a][b] and [c](1+u)b, v* < ‖v*‖") == r"E[a]\[b] and [c]\(1+u)b, v\* &lt; ‖v\*‖"
    assert escaped("`a < b*` **bold** and *this*") == "`a < b*` **bold** and *this*"
    assert (
        readable("One.\n\n    a < b*\n\nArgs:\n    x: below v*.") == "One.\n\n    a < b*\n\nArgs:\n    x: below v\\*."
    )


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs comes with the extra docs")
def test_the_strict_build_passes(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # the theme's advertisement, which names itself a warning
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    page = (tmp_path / "site" / "api" / "theory" / "claim.html").read_text(encoding="utf-8")
    assert re.search(r"examine", page)
    assert (tmp_path / "site" / "index.html").read_text(encoding="utf-8").count("T3.at_least") > 0
    assert not list((tmp_path / "site").rglob("*.py"))
