"""The report in a browser: opened from a file, filtered, read by keyboard, printed, and looked over by axe."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from figures.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver on PATH")
pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")

SCHEMES = ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Generator[Any, None, None]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for one in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(one)
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def written(report_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(report_folder / "claims.json", [report_folder], tmp_path_factory.mktemp("page"))


@pytest.fixture
def page(browser: Any, written: Path) -> Any:
    look(browser)
    browser.get("about:blank")
    browser.get_log("browser")
    visit(browser, written.as_uri())
    return browser


def visit(browser: Any, address: str) -> None:
    """Open the address from an empty page and wait for all of it: chromedriver's `get` can come back in the middle."""
    whole = "return location.protocol === 'file:' && document.readyState === 'complete'"
    browser.get("about:blank")
    browser.get(address)
    until(browser, lambda: browser.execute_script(whole))


def until(browser: Any, holds: Callable[[], bool]) -> None:
    """Wait until it holds, and fail after a minute in which it did not."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 60, poll_frequency=0.05).until(lambda _: holds())


def look(browser: Any, width: int = 1280, scheme: str = "light") -> None:
    """Set the window's width and the reader's colours."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wish = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})


def visible(page: Any) -> set[str]:
    """The ids of the claims that are shown."""
    script = "return [...document.querySelectorAll('tbody.claim')].filter((x) => x.offsetHeight).map((x) => x.id)"
    return set(page.execute_script(script))


def choose(page: Any, name: str, value: str) -> None:
    from selenium.webdriver.support.ui import Select

    Select(page.find_element("id", f"by-{name}")).select_by_value(value)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "claims.json").read_text(encoding="utf-8"))


def faults(page: Any, within: str = "html") -> list[str]:
    """What axe finds of serious or critical impact, with the elements."""
    from axe_core_python.selenium import Axe

    found = Axe().run(page, within, {"resultTypes": ["violations"]})["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def test_it_opens_from_a_file_without_a_word_in_the_console(page: Any) -> None:
    assert page.title.startswith("Norm growth")
    assert page.get_log("browser") == []
    page.execute_script("console.error('planted')")
    assert len(page.get_log("browser")) == 1


def test_it_asks_for_nothing_but_itself(page: Any) -> None:
    names = page.execute_script("return performance.getEntriesByType('resource').map((x) => x.name.slice(0, 5))")
    assert set(names) <= {"data:"}
    script = "const done = arguments[0]; fetch('https://x.invalid').then(() => done('let'), (e) => done('refused'))"
    assert page.execute_async_script(script) == "refused"
    assert "Content Security Policy" in str(page.get_log("browser"))


def test_filters_show_what_claims_json_holds(page: Any, report_folder: Path) -> None:
    rows = rows_of(report_folder)
    for name, field in (("verdict", "verdict"), ("kind", "kind")):
        for value in sorted({row[field] for row in rows}):
            choose(page, name, value)
            wanted = {row["id"] for row in rows if row[field] == value}
            assert visible(page) == wanted
            assert page.find_element("id", "shown").text == f"{len(wanted)} of {len(rows)} claims shown"
            option = page.find_element("css selector", f"#by-{name} option[value='{value}']").text
            assert option == f"{value} ({len(wanted)})"
        choose(page, name, "")
    choose(page, "family", "P7")
    assert visible(page) == {"T5.short", "S4.growth_soft"}
    choose(page, "kind", "simulated")
    assert visible(page) == {"S4.growth_soft"}
    assert "#?kind=simulated&family=P7" in page.current_url
    page.find_element("css selector", "button[type=reset]").click()
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert visible(page) == {row["id"] for row in rows}


def test_search_and_an_address_with_filters(page: Any) -> None:
    page.find_element("id", "by-text").send_keys("ALERT quote")
    assert visible(page) == {"T3.hostile"}
    page.find_element("id", "by-text").send_keys(" nothing at all")
    assert visible(page) == set()
    assert page.find_element("id", "none").is_displayed()
    address = page.current_url.split("#")[0]
    visit(page, f"{address}#?verdict=false+as+stated")
    assert visible(page) == {"T5.short"}
    page.execute_script("location.hash = '#T1.rome'")
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(visible(page)) == 8
    assert page.find_element("css selector", "#T1\\.rome details").get_attribute("open")


def test_a_count_of_the_summary_filters(page: Any) -> None:
    page.find_element("css selector", "a[data-verdict='undecided']").click()
    assert visible(page) == {"S4.growth_soft"}


def test_every_figure_is_seen(page: Any) -> None:
    script = "return [...document.images].map((x) => [x.complete, x.naturalWidth, x.offsetWidth, x.alt.length])"
    sizes = page.execute_script(script)
    assert len(sizes) == 4
    assert all(done and wide > 300 and shown > 200 and alt > 10 for done, wide, shown, alt in sizes)


def test_the_keyboard_opens_a_claim_and_skips_to_the_claims(page: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    page.find_element("tag name", "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("class") == "skip"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.current_url.endswith("#claims")
    summary = page.find_element("css selector", "#T1\\.rome summary")
    summary.send_keys(Keys.ENTER)
    assert page.find_element("css selector", "#T1\\.rome .steps").is_displayed()
    assert page.find_elements("css selector", "#T1\\.rome mfrac")
    summary.send_keys(Keys.SPACE)
    assert not page.find_element("css selector", "#T1\\.rome .steps").is_displayed()


def test_a_command_is_copied(page: Any) -> None:
    page.execute_script("document.querySelector('#T1\\\\.rome details').open = true")
    page.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    button = page.find_element("css selector", "#T1\\.rome .command button")
    button.click()
    page.execute_async_script("setTimeout(arguments[0], 50)")
    assert page.execute_script("return window.copied") == "python -m theory show T1.rome && echo"
    assert page.find_element("id", "said").get_attribute("textContent") == "The command was copied."


def test_links_lead_to_what_is_there(page: Any) -> None:
    script = (
        "return [...document.querySelectorAll('a[href^=\"#\"]')].map((x) => decodeURIComponent(x.hash.slice(1)))"
        ".filter((id) => !document.getElementById(id))"
    )
    assert page.execute_script(script) == []


def test_paper_holds_what_is_closed_on_the_screen(page: Any) -> None:
    count = "window.opened = document.querySelectorAll('[open]').length"
    page.execute_script(f"addEventListener('beforeprint', () => {{ {count}; }})")
    paper = base64.b64decode(page.print_page())
    assert paper.startswith(b"%PDF")
    assert paper.count(b"/Type /Page\n") > 1
    assert b"/Font" in paper
    assert page.execute_script("return window.opened") == 9
    assert page.execute_script("return document.querySelectorAll('[open]').length") == 0


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_is_wider_than_a_phone(page: Any, scheme: str) -> None:
    look(page, 360, scheme)
    page.execute_script("document.querySelectorAll('details').forEach((x) => { x.open = true; })")
    wide = "return [document.documentElement.scrollWidth, innerWidth]"
    assert page.execute_script(wide) == [360, 360]
    page.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', '<p style=width:500px>x</p>')")
    assert page.execute_script(wide) != [360, 360]


def test_colours_follow_the_reader(page: Any) -> None:
    script = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    light = page.execute_script(script)
    look(page, scheme="dark")
    dark = page.execute_script(script)
    assert light == ["rgb(252, 251, 248)", "rgb(31, 33, 36)"]
    assert dark == ["rgb(22, 24, 27)", "rgb(232, 230, 225)"]
    white = "return getComputedStyle(document.querySelector('.card')).backgroundColor"
    assert page.execute_script(white) == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 360)])
def test_axe_finds_nothing_serious(page: Any, scheme: str, width: int) -> None:
    look(page, width, scheme)
    page.execute_script("document.querySelectorAll('details').forEach((x) => { x.open = true; })")
    page.execute_async_script("setTimeout(arguments[0], 200)")
    assert faults(page) == []


def test_axe_finds_a_planted_fault(page: Any) -> None:
    plant = '<div id="planted"><input type="text"><p style="color:#aaa;background:#fff">faint</p></div>'
    page.execute_script("document.querySelector('main').insertAdjacentHTML('beforeend', arguments[0])", plant)
    found = faults(page, "#planted")
    assert {one.split(":")[0] for one in found} == {"label", "color-contrast"}


def test_without_scripts_everything_can_be_read(page: Any) -> None:
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        visit(page, page.current_url.split("#")[0])
        assert not page.find_element("css selector", ".filters").is_displayed()
        page.find_element("css selector", "#T1\\.rome summary").click()
        assert page.find_element("css selector", "#T1\\.rome .steps").is_displayed()
        assert not page.find_elements("css selector", ".command button")
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
