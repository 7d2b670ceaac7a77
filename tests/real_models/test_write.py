"""What one write measures on the stored weight: the noise of storing it, by two routes and by trial."""

import math

import numpy as np
import pytest
import torch

from real_models.write import storing_noise, write
from sim.editor import Edit, editor
from sim.metric import Euclidean, Projected, inverse_metric
from sim.rules.rome import rome
from theory.precision.formats import BFLOAT16, FLOAT16, FLOAT32
from theory.precision.storage import gaps, stored_noise

FORMATS = [(torch.float32, FLOAT32), (torch.float16, FLOAT16), (torch.bfloat16, BFLOAT16)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def positive(n, seed):
    root = torch.randn(n, n, generator=seeded(seed), dtype=torch.float64)
    return root @ root.mT + 0.1 * torch.eye(n, dtype=torch.float64)


@pytest.mark.claim("T7.stored_change", "M1.identity")
@pytest.mark.parametrize(("dtype", "target"), FORMATS, ids=lambda part: getattr(part, "name", ""))
@pytest.mark.parametrize("scale", [1.0, 1e-6])  # the second is subnormal in float16
def test_the_noise_of_a_stored_weight_against_the_formula_written_out(dtype, target, scale):
    stored = (scale * torch.randn(5, 4, generator=seeded(), dtype=torch.float64)).to(dtype).double()
    stored[0, 1] = 0
    basis = torch.linalg.qr(torch.randn(4, 3, generator=seeded(2), dtype=torch.float64))[0]
    inner = positive(3, 3)
    cases = (
        (Euclidean(2.5), 2.5 * torch.eye(4, dtype=torch.float64)),
        (inverse_metric(positive(4, 1)), positive(4, 1)),
        (Projected(basis, inverse_metric(inner)), basis @ inner @ basis.mT),
    )
    for metric, matrix in cases:
        slope = 2 * stored @ matrix
        expected = stored_noise(slope.numpy(), gaps(stored.numpy(), target))
        assert storing_noise(metric, stored, dtype) == pytest.approx(expected, rel=1e-12)


@pytest.mark.claim("T7.stored_change", "M1.identity")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_writes_miss_t1_by_the_noise_of_their_stored_weight(dtype):
    matrix, generator, ratios = positive(24, 4), seeded(5), []
    rule = editor(rome(matrix))
    for _ in range(200):
        weight = (torch.randn(12, 24, generator=generator, dtype=torch.float64) / math.sqrt(24)).to(dtype)
        key = torch.randn(24, 1, generator=generator, dtype=torch.float64)
        readout = weight.double() @ key
        edit = Edit(key, readout, readout + 0.5 * torch.randn(12, 1, generator=generator, dtype=torch.float64))
        row, _, stored = write(rule, edit, rule.init(weight), weight)
        assert stored.dtype == dtype
        ratios.append((row["identity_measured"] - row["identity_predicted"]) / row["identity_noise"])
    # 200 squares of a standard normal have the mean 1 ± 0.1; of twice the noise 4, of half 1/4.
    assert 0.6 < np.mean(np.square(ratios)) < 1.4
    row, _, _ = write(rule, edit, rule.init(weight), weight, identity=False)
    assert math.isnan(row["identity_noise"])
