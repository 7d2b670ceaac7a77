"""A sweep on a Ray cluster of two raylets, one of which is killed on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.spec import SweepConfig, read_sweep
from sim.sweep import run_sweep

SPEC = """
seeds = 125
[base]
m = 4
edits = 30
[grid]
n = [5, 6]
clamp = [0.5, 1.0]
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_killed_on_the_way_changes_no_byte(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'norm-anchor-lab[cluster]'")
    from ray.cluster_utils import Cluster

    place = tmp_path / "sweep.toml"
    place.write_text(SPEC)
    plan = read_sweep(place)
    run_sweep(SweepConfig(place, out=tmp_path / "here", workers=1), plan)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        second, ended = cluster.add_node(num_cpus=1), []

        def advanced() -> None:
            ended.append(1)
            if len(ended) == 100:
                cluster.remove_node(second, allow_graceful=False)

        outcome = run_sweep(SweepConfig(place, out=tmp_path / "ray", ray=cluster.address), plan, advanced)
    finally:
        cluster.shutdown()
    assert outcome == (500, 500, ())
    assert (tmp_path / "ray/rows.parquet").read_bytes() == (tmp_path / "here/rows.parquet").read_bytes()
