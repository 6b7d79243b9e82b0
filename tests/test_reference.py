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
    gray, rgb = (a.astype(float) for a in photos(6))
    weights = reference.init(np.random.default_rng(6), SIZE, "relu2", 2)
    zero = [np.zeros_like(w) for w in weights]
    assert reference.forward(weights, gray, "relu2").max() > 0
    _, z = reference.activations(weights, reference.scaled(gray.reshape(3, -1).T, "relu2"), "relu2")
    assert np.all(np.minimum(np.maximum(0, z), 0) == 0)
    assert np.all(reference.forward(zero, gray, "relu2") == 0)
