"""The stream's order and its pilots, whatever the model."""

from itertools import groupby

import pytest

from real_models.bench import split_requests
from real_models.config import EditConfig
from real_models.requests import Request

REQUESTS = tuple(Request(i, f"template {i % 4} of {{}}", f"subject {i}", "new", "true") for i in range(60))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_drifting_stream_takes_one_template_after_another_and_the_same_requests(seed):
    streams, pilots, templates = {}, {}, {}
    for order in ("shuffled", "template"):
        config = EditConfig(seed=seed, order=order, edits=40, pilots=30, anchor=True)
        streams[order], pilots[order], shared = split_requests(REQUESTS, config)
        templates[order] = [template for template, _ in groupby(request.template for request in streams[order])]
        assert shared == 10
    assert set(streams["template"]) == set(streams["shuffled"])
    assert pilots["template"] == pilots["shuffled"]
    assert len(templates["template"]) == 4 < len(templates["shuffled"])
    first = dict.fromkeys(request.template for request in streams["shuffled"])
    assert templates["template"] == list(first)
    for template in first:
        own = [[one for one in stream if one.template == template] for stream in streams.values()]
        assert own[0] == own[1]
