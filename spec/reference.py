"""The seed in plain float64 NumPy: the oracle, written from the report's text; imports nothing of colorjax.

Weights are lists of matrices (outputs, inputs), as the report has them; photos are flattened to columns, row by row,
with R, G, B of a pixel side by side. Two sets of equations stand here: the right ones (`forward`, `loss`, `gradient`),
and the report's own where they differ (`report_gradient`, `report_train`), so that tests can show the difference.
"""

import itertools

import numpy as np

NETWORKS = {  # name: (hidden layers, hidden activation, output activation), seed S3 and S8 to S11
    "relu": (1, "relu", "clip"),
    "relu2": (2, "relu", "clip"),
    "sigmoid": (1, "relu", "sigmoid"),
    "sigmoid2": (2, "sigmoid", "sigmoid"),
    "tanh2": (2, "tanh", "tanh"),
}


def gray(rgb, truncate=False):
    """S2: 0.21 r + 0.72 g + 0.07 b, pixel by pixel as the report does; truncated to an integer on request."""
    photos, height, width, _ = rgb.shape
    result = np.zeros((photos, height, width), np.uint8 if truncate else np.float64)
    for m in range(photos):
        for i in range(height):
            for j in range(width):
                r, g, b = (float(level) for level in rgb[m, i, j])
                result[m, i, j] = 0.21 * r + 0.72 * g + 0.07 * b
    return result


def layout(rgb):
    """S1: the report's pixel loops from decoded photos (m, n, n, 3) to its tensor (m, 3, n, n)."""
    photos, n = rgb.shape[0], rgb.shape[1]
    result = np.zeros((photos, 3, n, n))
    for m in range(photos):
        for i in range(n):
            for j in range(n):
                for channel in range(3):
                    result[m, channel, i, j] = rgb[m, i, j, channel]
    return result


def init(rng, n, name="relu", multiple=5, scale=0.2):
    """S3, S4: every weight uniform in [-scale, scale]; hidden width = multiple × outputs."""
    depth = NETWORKS[name][0]
    widths = [n * n] + [3 * n * n * multiple] * depth + [3 * n * n]
    return [
        2 * scale * rng.random((after, before)) - scale
        for before, after in itertools.pairwise(widths)
    ]


def sigmoid(x):
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def scaled(flat_gray, name):
    """Network input: levels over 255, moved to [-1, 1] where the output activation is symmetric (correction 5)."""
    unit = flat_gray / 255
    return unit if NETWORKS[name][2] == "clip" else 2 * unit - 1


def activations(weights, x, name):
    """Return the hidden layers' outputs and the last layer's pre-activation, for columns of inputs."""
    hidden = {"relu": lambda z: np.maximum(0, z), "sigmoid": sigmoid, "tanh": np.tanh}[
        NETWORKS[name][1]
    ]
    layers = [x]
    for w in weights[:-1]:
        layers.append(hidden(w @ layers[-1]))
    return layers, weights[-1] @ layers[-1]


def output(z, name):
    """S3, S9 to S11: the output in levels, from the pre-activation z."""
    kind = NETWORKS[name][2]
    if kind == "clip":
        return np.minimum(np.maximum(0, 255 * z), 255)
    return 255 * sigmoid(z) if kind == "sigmoid" else (np.tanh(z) + 1) * (255 / 2)


def forward(weights, grays, name):
    """Colorize (m, n, n) grays: levels (m, n, n, 3)."""
    m, n, _ = grays.shape
    _, z = activations(weights, scaled(grays.reshape(m, -1).T.astype(float), name), name)
    return output(z, name).T.reshape(m, n, n, 3)


def loss(weights, grays, rgb, name):
    """S5: the squared RGB distance summed over a photo's pixels, mean over photos."""
    return np.mean(np.sum((forward(weights, grays, name) - rgb) ** 2, axis=(1, 2, 3)))


def gradient(weights, grays, rgb, name):
    """The analytic gradient of `loss`, one matrix a layer: back propagation with every derivative right."""
    m = len(grays)
    layers, z = activations(weights, scaled(grays.reshape(m, -1).T.astype(float), name), name)
    out = output(z, name)
    delta = 2 * (out - rgb.reshape(m, -1).T) / m
    kind = NETWORKS[name][2]
    if kind == "clip":
        delta = delta * 255 * ((255 * z > 0) & (255 * z < 255))
    elif kind == "sigmoid":
        delta = delta * out * (255 - out) / 255  # 255 σ (1 - σ), correction 2
    else:
        delta = delta * 255 / 2 * (1 - np.tanh(z) ** 2)  # correction 6
    gradients = [delta @ layers[-1].T]
    for w, h in zip(weights[:0:-1], layers[:0:-1], strict=False):
        delta = w.T @ delta
        delta = delta * {"relu": h > 0, "sigmoid": h * (1 - h), "tanh": 1 - h**2}[NETWORKS[name][1]]
        gradients.append(delta @ layers[len(weights) - 1 - len(gradients)].T)
    return gradients[::-1]


def report_relu2_output(z):
    """The report's output of relu2, 0 for every z (correction 1)."""
    return np.minimum(np.maximum(0, z), 0)


def report_gradient(weights, grays, rgb, name):
    """The report's own back propagation, mistakes and all, on inputs as `scaled` gives them, mean over photos."""
    m = len(grays)
    layers, z = activations(weights, scaled(grays.reshape(m, -1).T.astype(float), name), name)
    truth = rgb.reshape(m, -1).T
    out = report_relu2_output(z) if name == "relu2" else output(z, name)
    delta = 2 * (out - truth) / m
    if NETWORKS[name][2] == "sigmoid":
        delta = delta * (out * (1 - out)) / 255  # correction 2
    elif NETWORKS[name][2] == "tanh":
        delta = delta * (1 - (out * (2 / 255) - 1) ** 2)  # correction 6
    gradients = [delta @ layers[-1].T]
    for w, h in zip(weights[:0:-1], layers[:0:-1], strict=False):
        delta = w.T @ delta
        if NETWORKS[name][1] == "sigmoid":
            delta = delta * h * (1 - h)
        elif NETWORKS[name][1] == "tanh":
            delta = delta * (1 - h**2)  # ReLU' is taken as 1 everywhere, correction 4
        below = layers[len(weights) - 1 - len(gradients)]
        if name == "sigmoid":
            below = sigmoid(below) * (1 - sigmoid(below))  # σ' of the input, correction 3
        gradients.append(delta @ below.T)
    return gradients[::-1]


def report_train(
    grays, rgb, passes, rng, *, batch=50, rate=2.5e-6, scale=0.2, decay=0.0, falling=False
):
    """S6, S7: train `relu` by the report's manual update on levels 0 to 255; returns weights and the loss a pass.

    One photo at a time, gradients summed over a batch; rate² for layer 1; each update clipped to ±0.01 · batch · scale.
    """
    m, n, _ = grays.shape
    first, second = init(rng, n, "relu", scale=scale)
    inputs, truths = grays.reshape(m, -1, 1).astype(float), rgb.reshape(m, -1, 1).astype(float)
    limit, curve = 0.01 * batch * scale, []
    for i in range(passes):
        total, slowed = 0.0, (i + 1) ** 3 if falling else 1
        for start in range(0, m, batch):
            first_sum, second_sum = np.zeros_like(first), np.zeros_like(second)
            for j in range(start, min(start + batch, m)):
                hidden = np.maximum(0, first @ inputs[j])
                out = np.minimum(np.maximum(0, second @ hidden), 255)
                deltas = out - truths[j]
                total += float((deltas.T @ deltas).item())
                output_deltas = 2 * deltas
                second_sum += output_deltas @ hidden.T
                first_sum += (second.T @ output_deltas) @ inputs[j].T
            second -= decay * second + np.clip(rate * second_sum * scale / slowed, -limit, limit)
            first -= decay * first + np.clip(rate**2 * first_sum * scale / slowed, -limit, limit)
        curve.append(total / m)
    return [first, second], curve
