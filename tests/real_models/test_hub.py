"""Data sets by their names on the hub, from a cache folder that stands in for it."""

import pytest
from huggingface_hub import constants

from real_models.datasets.hub import local_file
from theory.command import Misuse

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's cache as a download of "someone/facts" leaves it, and no network."""
    repo = tmp_path / "datasets--someone--facts"
    (repo / "snapshots" / COMMIT / "data").mkdir(parents=True)
    (repo / "snapshots" / COMMIT / "data" / "facts.json").write_text("[]", encoding="utf-8")
    (repo / "refs").mkdir()
    for name in ("main", "v2"):
        (repo / "refs" / name).write_text(COMMIT, encoding="utf-8")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("name", ["someone/facts", "someone/facts@v2", f"someone/facts@{COMMIT}"])
def test_a_file_on_the_hub_is_read_from_its_cache(hub, name):
    assert local_file(f"hub:{name}/data/facts.json").read_text(encoding="utf-8") == "[]"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("hub:someone/facts", "names no file on the hub; write hub:OWNER/NAME/FILE"),
        ("hub:facts.json", "names no file on the hub"),
        ("hub:someone/facts/other.json", "cannot be fetched"),
        ("hub:someone/facts@v3/data/facts.json", "cannot be fetched"),
        ("hub:some one/facts/data/facts.json", "cannot be fetched"),
    ],
)
def test_what_the_hub_has_not_is_one_line(hub, data, says):
    with pytest.raises(Misuse, match=says) as caught:
        local_file(data)
    assert "\n" not in str(caught.value)


def test_a_path_is_left_as_it_is(tmp_path):
    assert local_file(str(tmp_path / "hub:x.json")) == tmp_path / "hub:x.json"
