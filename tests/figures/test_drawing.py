from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from types import ModuleType

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from figures import (
    ability,
    anchor_length,
    certificate,
    collapse_points,
    confronted,
    control_rates,
    course,
    forecast,
    growth_phase,
    log_norm,
    memory_norm,
    mutation,
    norm_against_score,
    overhead,
    precision,
    scaling,
    spectrum,
    stream,
    values_against_norm,
)
from figures.compose import compose, save
from figures.results import find_runs
from figures.style import CYCLE, DOUBLE, SERIES, SINGLE, VALUES, headed, number_plainly, styled
from theory.command import Misuse

MakeRun = Callable[..., Path]
MODULES = (log_norm, values_against_norm, stream, growth_phase, scaling, certificate)
OF_COMPARISONS = (ability, anchor_length, collapse_points, course, forecast, norm_against_score)
OF_FILES = (confronted, control_rates, memory_norm, mutation, overhead, precision, spectrum)
ABOUT = {"Title": "a title", "Description": "what is drawn", "Keywords": "a: seed 0, commit abc1234"}


@pytest.fixture
def results(
    tmp_path: Path, edit_run: MakeRun, phase_run: MakeRun, scaling_run: MakeRun, certificate_run: MakeRun
) -> Path:
    edit_run(tmp_path / "a")
    edit_run(tmp_path / "b", anchor=True)
    edit_run(tmp_path / "c", rule="memit", seed=1)
    phase_run(tmp_path / "p")
    scaling_run(tmp_path / "s")
    certificate_run(tmp_path / "k")
    return tmp_path


@pytest.fixture
def more(results: Path, compare_run: MakeRun, keys_run: MakeRun, row_files: MakeRun, memory_run: MakeRun) -> Path:
    memory_run(results / "m1")
    memory_run(results / "m2", anchor=False)
    compare_run(results / "c1")
    compare_run(results / "c2")
    keys_run(results / "keys")
    row_files(results / "files")
    return results


@pytest.fixture
def style() -> Iterator[None]:
    with styled():
        yield


def figure_of(module: ModuleType, results: Path) -> tuple[pd.DataFrame, Figure]:
    df = module.table(find_runs(results))
    layout = {"shared": getattr(module, "SHARED", True), "wide": getattr(module, "WIDE", False)}
    return df, compose(df, module.draw, module.FACETS, module.ROW_HEIGHT, **layout)


@pytest.mark.usefixtures("style")
@pytest.mark.parametrize("module", [*MODULES, *OF_COMPARISONS, *OF_FILES])
def test_no_text_is_clipped_and_none_overlaps(module: ModuleType, more: Path) -> None:
    _, figure = figure_of(module, more)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page = figure.bbox.padded(1)
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = {text: without_blank_line(text, text.get_window_extent(canvas.get_renderer())) for text in texts}
    shown = {text: box for text, box in boxes.items() if box.width > 0 and tick_is_in_view(text, figure)}
    assert len(shown) > 10
    for text, box in shown.items():
        assert page.x0 <= box.x0, text
        assert box.x1 <= page.x1, text
        assert page.y0 <= box.y0, text
        assert box.y1 <= page.y1, text
    for (one, box), (other, second) in combinations(shown.items(), 2):
        assert not box.padded(-1).overlaps(second.padded(-1)), (one, other)


def without_blank_line(text: Text, box: Bbox) -> Bbox:
    """A title that opens with a blank line leaves it to the panel's name."""
    blank = box.height / 2 if text.get_text().startswith("\n") else 0
    return Bbox.from_extents(box.x0, box.y0, box.x1, box.y1 - blank)


def tick_is_in_view(text: Text, figure: Figure) -> bool:
    """Matplotlib keeps labels of ticks outside the axis, and does not draw them."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if text in (tick.label1, tick.label2):
                    return bool(ax.axison and low <= tick.get_loc() <= high)
    return True


@pytest.mark.usefixtures("style")
def test_one_panel_is_one_column_wide_and_more_are_two(results: Path) -> None:
    assert figure_of(growth_phase, results)[1].get_figwidth() == SINGLE
    for module in (log_norm, values_against_norm, stream):
        assert figure_of(module, results)[1].get_figwidth() == DOUBLE


@pytest.mark.usefixtures("style")
def test_a_long_legend_leaves_the_panel_its_height(tmp_path: Path, phase_run: MakeRun) -> None:
    phase_run(tmp_path / "p", dimensions=(4, 8, 16, 32, 64, 128, 256))
    _, figure = figure_of(growth_phase, tmp_path)
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_window_extent().height / figure.dpi > 0.6 * growth_phase.ROW_HEIGHT


@pytest.mark.usefixtures("style")
def test_log_norm_draws_the_tables_numbers_on_a_log_axis(results: Path) -> None:
    df, figure = figure_of(log_norm, results)
    rome, memit = figure.axes
    assert (rome.get_yscale(), memit.get_yscale()) == ("log", "log")
    assert rome.get_title(loc="left").startswith("ROME, C = I\nfit without NAS: +")
    lines = {line.get_label(): line for line in rome.get_lines()}
    for label, run, column in [
        ("without NAS, measured", "a", "norm"),
        ("with NAS, measured", "b", "norm"),
        (log_norm.FIT, "a", "fitted"),
        (log_norm.BOUND, "b", "bound"),
    ]:
        np.testing.assert_array_equal(lines[label].get_ydata(), df.loc[df["run"] == run, column])
    assert not any(line.get_label() == log_norm.IDENTITY for line in memit.get_lines())
    assert sum(line.get_label() == log_norm.IDENTITY for line in rome.get_lines()) == 2


@pytest.mark.usefixtures("style")
def test_the_stream_marks_the_chance_floor_on_comparisons_only(results: Path) -> None:
    _, figure = figure_of(stream, results)
    floors = [
        [list(line.get_ydata()) for line in ax.get_lines() if str(line.get_label()).startswith("chance")]
        for ax in figure.axes
    ]
    assert floors == [[[50, 50]], [[50, 50]], [[50, 50]], []] * 2
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "chance floor of a comparison (50 %)",
        "without NAS",
        "with NAS",
    }


@pytest.mark.usefixtures("style")
def test_a_panel_without_data_says_so(results: Path) -> None:
    _, figure = figure_of(values_against_norm, results)
    assert [ax.get_title() for ax in figure.axes] == ["", "", "", "no data"]


@pytest.mark.usefixtures("style")
def test_growth_phase_is_linear_where_a_rate_is_not_positive(results: Path) -> None:
    df = growth_phase.table(find_runs(results))
    for low, scale in ((df["low"], "log"), (df["low"] - 1, "linear")):
        ax = Figure().subplots()
        growth_phase.draw(df.assign(low=low), ax)
        assert (ax.get_xscale(), ax.get_yscale()) == (scale, scale)


def test_no_two_looks_share_colour_line_or_marker() -> None:
    for looks in (SERIES.values(), VALUES.values(), CYCLE):
        for part in zip(*looks, strict=True):
            assert len(set(part)) == len(part)


def test_the_style_ends_with_its_context() -> None:
    before = dict(matplotlib.rcParams)
    with styled():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
    assert dict(matplotlib.rcParams) == before


def test_a_head_breaks_after_a_comma_only() -> None:
    head = "ROME, C = I, model stories260K.bin, data counterfact_native_sample.json, with NAS"
    lines = headed(head, "slope 1").split("\n")
    assert " ".join(lines[:-1]) == head
    assert all(line.endswith(",") for line in lines[:-2])
    assert len(lines) > 2


@pytest.mark.parametrize(("low", "high"), [(5.6, 9.1), (2.0, 40.0), (1.0, 1.02), (1e-4, 0.6)])
def test_a_log_axis_has_plain_ticks_whatever_its_span(low: float, high: float) -> None:
    ax = Figure().subplots()
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    number_plainly(ax.yaxis)
    inside = [tick for tick in ax.get_yticks() if low <= tick <= high]
    assert len(inside) >= 2
    FigureCanvasAgg(ax.figure).draw()
    for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True):
        assert float(label.get_text()) == pytest.approx(tick, rel=1e-5)


@pytest.mark.usefixtures("style")
def test_files_hold_text_as_text_and_say_where_they_come_from(results: Path, tmp_path: Path) -> None:
    _, figure = figure_of(growth_phase, results)
    pdf, svg, png = save(figure, tmp_path / "out" / "x", ("pdf", "svg", "png"), ABOUT)
    content = pdf.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"CreationDate" not in content
    text = svg.read_text(encoding="utf-8")
    assert re.search(r"<text[^>]*>n = 8</text>", text)
    assert "<dc:date>" not in text
    for path in (pdf, svg, png):
        assert b"a: seed 0, commit abc1234" in path.read_bytes()
    assert sorted(path.name for path in pdf.parent.iterdir()) == ["x.pdf", "x.png", "x.svg"]


@pytest.mark.usefixtures("style")
def test_equal_results_give_equal_files(results: Path, tmp_path: Path) -> None:
    one, two = (
        save(figure_of(values_against_norm, results)[1], tmp_path / name / "x", ("pdf", "png", "svg"), ABOUT)
        for name in ("one", "two")
    )
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.usefixtures("style")
def test_a_failed_save_leaves_the_old_file_and_no_partial(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "x.pdf").write_bytes(b"old")
    _, figure = figure_of(growth_phase, results)
    figure.text(0.5, 0.5, r"$\undefined$")
    with pytest.raises(ValueError, match="undefined"):
        save(figure, out / "x", ("pdf",), ABOUT)
    assert [(path.name, path.read_bytes()) for path in out.iterdir()] == [("x.pdf", b"old")]
    with pytest.raises(Misuse, match="the format 'bmp' is unknown; choose among pdf, png, svg"):
        save(figure, out / "x", ("bmp",), ABOUT)
