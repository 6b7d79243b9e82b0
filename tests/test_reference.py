"""The oracle against central differences, and against the report's own equations."""

import numpy as np
import pytest
from dense import SIZE, photos

from spec import reference


@pytest.mark.req("LOS-008")
@pytest.mark.parametrize("name", ["relu", "relu2", "sigmoid", "sigmoid2", "tanh2"])
def test_report_gradients_differ_from_central_differences(name):
    rng = np.random.default_rng(5)
    gray, rgb = (a.astype(float) for a in photos(5))
    weights = reference.init(rng, SIZE, name, 2)
    right = reference.gradient(weights, gray, rgb, name)
    wrong = reference.report_gradient(weights, gray, rgb, name)
    largest = max(np.abs(g).max() for g in right)
    worst = 0.0
    for layer, w in enumerate(weights):
        for i, j in rng.integers(0, w.shape, (12, 2)):
            step = np.zeros_like(w)
            step[i, j] = 1e-6
            above, below = ([*weights[:layer], w + s, *weights[layer + 1 :]] for s in (step, -step))
            slope = reference.loss(above, gray, rgb, name) - reference.loss(below, gray, rgb, name)
            assert abs(slope / 2e-6 - right[layer][i, j]) / largest < 1e-5
            worst = max(worst, abs(slope / 2e-6 - wrong[layer][i, j]) / largest)
    assert worst > 1e-2


@pytest.mark.req("LOS-008")
def test_report_relu2_outputs_nothing_but_zero():
    z = np.linspace(-2, 2, 9)
    assert np.all(reference.report_relu2_output(z) == 0)
    assert reference.output(z, "relu2").max() == 255
