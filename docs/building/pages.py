"""The hook by which mkdocs gets the pages that are not in docs/: README.md, the account, the API.

A link to a file that is a page leads to the page, one to a module leads to its API page, and one to any other file of
the repository becomes the file's name.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ROOMS = ("theory", "sim", "real_models", "figures")
BROUGHT = {"README.md": "index.md", "paper_checks.md": "paper_checks.md", "CHANGELOG.md": "CHANGELOG.md"}
"""Files of the root, and the pages that they become."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")


def modules() -> list[str]:
    """Every module of the package by its dotted name, packages before what is in them."""
    files = [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    named = (file.parent if file.name == "__init__.py" else file.with_suffix("") for file in files)
    names = (".".join(name.relative_to(ROOT).parts) for name in named)
    return [*sorted(name for name in names if not name.endswith("__main__")), "paper_checks"]


def page_of(module: str) -> str:
    """The API page of a module.

    >>> page_of("theory.claim")
    'api/theory/claim.md'
    """
    if module in packages():
        return f"api/{module.replace('.', '/')}/index.md"
    return f"api/{module.replace('.', '/')}.md"


def packages() -> set[str]:
    """The modules that hold others."""
    return {
        ".".join(file.parent.relative_to(ROOT).parts) for room in ROOMS for file in (ROOT / room).rglob("__init__.py")
    }


def api_pages() -> Iterator[tuple[str, str]]:
    """Place and text of every API page."""
    for module in modules():
        shown = "\n    options:\n      show_submodules: false" if module in packages() else ""
        yield page_of(module), f"# {module}\n\n::: {module}{shown}\n"


def api_tree(names: list[str], inside: str = "") -> list[Any]:
    """The API's part of the navigation: a package opens a section, whose first page is its own."""
    depth = inside.count(".") + 2 if inside else 1
    tree: list[Any] = [page_of(inside)] if inside else []
    for name in names:
        if name.startswith(f"{inside}." if inside else "") and name.count(".") == depth - 1:
            last = name.rpartition(".")[2]
            tree.append({last: api_tree(names, name) if name in packages() else page_of(name)})
    return tree


def source_of(page: str) -> str:
    """The repository's file behind a page that is not an API page."""
    return next((file for file, brought in BROUGHT.items() if brought == page), f"docs/{page}")


def destination(file: str, pages: set[str]) -> str | None:
    """The page of a file of the repository, or what else of docs/ it is; None for a file outside the site."""
    if file in BROUGHT:
        return BROUGHT[file]
    if file.endswith(".py"):
        module = file.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
        return page_of(module) if page_of(module) in pages else None
    within = file.removeprefix("docs/")
    return within if within != file and within in pages else None


def relinked(text: str, page: str, pages: set[str]) -> str:
    """A page's text with its relative links rewritten for the site.

    Args:
        text: Markdown, with links as they hold in the repository.
        page: the page's place in the site.
        pages: every place in the site, pages and pictures.

    Returns:
        The text: a link that leads out of the site is its words and the file's name.

    >>> pages = {"index.md", "guide.md", "tutorials/first.md"}
    >>> relinked("[a](../guide.md#b) [c](../../data/d.json)", "tutorials/first.md", pages)
    '[a](../guide.md#b) c (`data/d.json`)'
    """
    folder = posixpath.dirname(source_of(page))

    def rewritten(found: re.Match[str]) -> str:
        mark, words, target, place = found[1], found[2], found[3], found[4] or ""
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        file = posixpath.normpath(posixpath.join(folder, target))
        if not (ROOT / file).exists() and file.startswith("docs/") is False:
            return found[0]  # a broken link is left for the strict build to refuse
        goal = destination(file, pages)
        if goal is None:
            return found[0] if file.startswith("docs/") else f"{words} (`{file}`)"
        return f"{mark}[{words}]({posixpath.relpath(goal, posixpath.dirname(page) or '.')}{place})"

    return LINK.sub(rewritten, text)


def on_config(config: Any) -> Any:
    """Put the API behind the pages that mkdocs.yml names."""
    config.nav = [*config.nav, {"API": api_tree(modules())}]
    return config


def on_files(files: Any, config: Any) -> Any:
    """Bring in what is not in docs/."""
    from mkdocs.structure.files import File

    for file, page in BROUGHT.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text(encoding="utf-8")))
    for place, text in api_pages():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite links; an API page has none, as mkdocstrings makes its own."""
    place = page.file.src_uri
    if place.startswith("api/"):
        return markdown
    return relinked(markdown, place, {file.src_uri for file in files})
