"""Frozen, checked configs; the presets; JSON in and out.

Fields declare their own domain: a Literal annotation lists the choices, `number(...)` the range.
"""

import dataclasses
import json
import math
import reprlib
import typing
from typing import Any, Literal

from colorjax.errors import ConfigError
from colorjax.jsontext import parse_json

MAX_NUMBER = 1e300  # that a number may be: larger integers overflow


def number(
    default: Any,
    *,
    at_least: int | float | None = None,
    above: int | float | None = None,
    at_most: int | float | None = None,
) -> Any:
    """Declare a field: a finite int or float (as the default is) within the bounds."""
    bounds = {"at_least": at_least, "above": above, "at_most": at_most}
    return dataclasses.field(default=default, metadata=bounds)


class Checked:
    """Base of all configs: checks each field when made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            if fault := _fault(field, value):
                raise ConfigError(f"{field.name} is {reprlib.repr(value)}; expected {fault}")


def _fault(field, value) -> str | None:
    """Return what was expected of a field, or None if its value is fine."""
    kind = field.type
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        known = isinstance(value, str) and value in choices
        return None if known else f"one of {', '.join(map(str, choices))}"
    if kind not in (int, float):
        return None if isinstance(value, kind) else f"a {getattr(kind, '__name__', kind)}"
    fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    low, above, high = (field.metadata.get(k) for k in ("at_least", "above", "at_most"))
    if (
        fits
        and abs(value) <= MAX_NUMBER
        and (low is None or value >= low)
        and (above is None or value > above)
        and (high is None or value <= high)
    ):
        return None
    bounds = [
        f"{words} {bound}"
        for words, bound in (("of at least", low), ("above", above), ("of at most", high))
        if bound is not None
    ]
    return " ".join(["an integer" if kind is int else "a finite number", " and ".join(bounds)])


@dataclasses.dataclass(frozen=True)
class DenseConfig(Checked):
    """A fully connected network n² → (3 · multiple · n²) depth times → 3 n², without biases.

    Attributes:
        depth: number of hidden layers.
        hidden_activation: of every hidden layer.
        output_activation: maps the last pre-activation to [0, 1].
        hidden_multiple: hidden width over output width.
        initial_scale: k; every weight starts uniform in [-k, k].
        copy_gray: whether the start copies gray to the outputs, on top of the uniform weights.
    """

    depth: int = number(1, at_least=1, at_most=100)
    hidden_activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    output_activation: Literal["clip", "sigmoid", "tanh"] = "clip"
    hidden_multiple: int = number(5, at_least=1, at_most=1000)
    initial_scale: float = number(0.005, at_least=0)
    copy_gray: bool = True


@dataclasses.dataclass(frozen=True)
class PhotoConfig(Checked):
    """The photo network: a pretrained encoder, a decoder, and the log-polar chroma bins of its head.

    Attributes:
        encoder: EfficientNet-Lite's size.
        stages: of the encoder's seven; with five or fewer its coarsest stride is 16.
        bottom: channels of the decoder at the encoder's coarsest stride.
        coarse: channels at stride 16, if that is not the coarsest.
        middle: channels at stride 8.
        fine: channels at stride 4.
        group: channels that share a normalization.
        head_width: channels before the head's last layer.
        rings: rings of bins around the neutral one.
        hues: bins a ring.
        ring_scale: levels; ring j lies at ring_scale · (exp(ring_growth · j) − 1).
        ring_growth: growth of the radius from ring to ring.
        compute: type of activations inside the network; parameters, outputs and losses are float32.
        depthwise: the fastest way for depthwise convolutions on each device, or always its native operation.
    """

    encoder: Literal["lite0", "lite2"] = "lite0"
    stages: int = number(7, at_least=3, at_most=7)
    bottom: int = number(256, at_least=1, at_most=4096)
    coarse: int = number(160, at_least=1, at_most=4096)
    middle: int = number(96, at_least=1, at_most=4096)
    fine: int = number(48, at_least=1, at_most=4096)
    group: int = number(16, at_least=1, at_most=4096)
    head_width: int = number(96, at_least=1, at_most=4096)
    rings: int = number(7, at_least=1, at_most=64)
    hues: int = number(12, at_least=3, at_most=360)
    ring_scale: float = number(20.0, above=0)
    ring_growth: float = number(0.3, above=0)
    compute: Literal["float32", "bfloat16"] = "float32"
    depthwise: Literal["fastest", "native"] = "fastest"


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(Checked):
    """What training minimizes: one objective, or a weighted sum of the photo network's.

    Attributes:
        name: `matching` (LOS-005) or `squared-error` (LOS-007) for any network; `chroma` for the photo network: the sum
            of the terms below by their weights (LOS-020 to LOS-022).
        likelihood: weight of the cross-entropy of the chroma distribution.
        robust: weight of the robust distance between the decoded chroma and the truth.
        photo_error: weight of the logarithm of each photo's mean squared chroma error.
        rebalance: how much more rare colors count in the likelihood: 0 all alike, 1 by their inverse frequency.
    """

    name: Literal["matching", "squared-error", "chroma"] = "matching"
    likelihood: float = number(1.0, at_least=0)
    robust: float = number(1.0, at_least=0)
    photo_error: float = number(0.2, at_least=0)
    rebalance: float = number(0.0, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Checked):
    """What happens to training photos; 0 is nothing everywhere.

    Attributes:
        mirror: probability that a photo is mirrored left to right.
        zoom: a view's side is between 1 − zoom and 1 of the photo's, its aspect a little changed.
        exposure: standard deviation of the logarithm of the power that a photo is raised to.
        orthochromatic: probability of film that sees blue and not red.
        tone_curve: standard deviation of the logarithm of the power that the gray alone is raised to.
        fading: how far black may rise and white fall.
        low_contrast: how far levels may be drawn toward their mean.
        blur: probability of a soft picture.
        scratches: probability of scratches.
        stains: probability of stains.
        grain: how strong film grain may be.
        jpeg: probability of a poor JPEG's blocks.
    """

    mirror: float = number(0.5, at_least=0, at_most=1)
    zoom: float = number(0.0, at_least=0, at_most=0.9)
    exposure: float = number(0.0, at_least=0)
    orthochromatic: float = number(0.0, at_least=0, at_most=1)
    tone_curve: float = number(0.0, at_least=0, at_most=1)
    fading: float = number(0.0, at_least=0, at_most=1)
    low_contrast: float = number(0.0, at_least=0, at_most=1)
    blur: float = number(0.0, at_least=0, at_most=1)
    scratches: float = number(0.0, at_least=0, at_most=1)
    stains: float = number(0.0, at_least=0, at_most=1)
    grain: float = number(0.0, at_least=0, at_most=1)
    jpeg: float = number(0.0, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Checked):
    """The optax chain: clipping, Adam, Muon or momentum, weight decay, a schedule.

    Attributes:
        algorithm: Adam; Muon for kernels with Adam for the rest; or gradient descent with momentum 0.9.
        second_moment: decay of Adam's second moment.
        learning_rate: peak step size.
        schedule: after the warm-up: constant, a cosine to 0, or 1 / pass³.
        warmup: share of the steps over which the rate rises from 0.
        weight_decay: λ; each update also takes rate · λ of every weight away, biases and norms apart.
        clip_norm: largest global norm of a gradient.
        encoder_rate: factor on the rate of the photo network's encoder, which starts pretrained.
        frozen: what of the photo network never changes.
    """

    algorithm: Literal["adam", "muon", "momentum"] = "adam"
    learning_rate: float = number(1e-4, above=0)
    schedule: Literal["constant", "cosine", "inverse-cube"] = "cosine"
    warmup: float = number(0.05, at_least=0, at_most=1)
    weight_decay: float = number(0.0, at_least=0)
    clip_norm: float = number(1.0, above=0)
    second_moment: float = number(0.999, at_least=0, at_most=0.9999)
    encoder_rate: float = number(1.0, at_least=0)
    frozen: Literal["nothing", "depthwise", "encoder"] = "nothing"


@dataclasses.dataclass(frozen=True)
class Config(Checked):
    """All that decides a network and how it is trained.

    Attributes:
        network: the architecture.
        size: n; training sees photos as n × n, and so does a dense network always.
        source_size: side at which training photos are kept, for views to be cut from; 0 for `size`.
        working_size: short side of the copy of a photo that the photo network looks at; 0 for `size`.
        vividness: factor on the predicted chroma that `colorize` counts as natural; means of distributions are dull.
        knee: length in levels toward which strong predicted chroma is held back, before that factor; 0 for none.
        framing: squash the aspect to the square, crop the center, or keep the photo whole for views from anywhere.
        objective: what training minimizes.
        augment: what happens to training photos.
        optimizer: the optax chain.
        ema_decay: a step's memory of the averaged parameters that are evaluated and kept; 0 for none.
        steps: length of training; the schedule ends there.
        pass_steps: steps a pass over the photos, for the schedule 1 / pass³.
        batch: photos a step.
        accumulate: parts that a step takes its batch in; divides the batch.
        remat: save memory by computing what lies between convolutions again for the gradient.
        shard: devices that share one copy of the parameters, for networks that outgrow one.
    """

    network: DenseConfig | PhotoConfig = DenseConfig()
    size: int = number(16, at_least=1, at_most=4096)
    source_size: int = number(0, at_least=0, at_most=4096)
    working_size: int = number(0, at_least=0, at_most=4096)
    vividness: float = number(1.0, at_least=0)
    knee: float = number(0.0, at_least=0)
    framing: Literal["squash", "crop", "whole"] = "squash"
    objective: ObjectiveConfig = ObjectiveConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: float = number(0.0, at_least=0, at_most=0.9999)
    steps: int = number(1000, at_least=1)
    pass_steps: int = number(1, at_least=1)
    batch: int = number(50, at_least=1)
    accumulate: int = number(1, at_least=1)
    remat: bool = False
    shard: int = number(1, at_least=1)


# Fields of older versions that weights files still name; all of them say how training was done, none what comes out.
RETIRED = ("augment.old", "augment.hints")

NETWORKS = {"DenseConfig": DenseConfig, "PhotoConfig": PhotoConfig}

_PHOTO = Config(
    network=PhotoConfig(),
    size=96,
    source_size=128,
    working_size=128,
    vividness=1.2,
    knee=80.0,
    framing="whole",
    objective=ObjectiveConfig(name="chroma", rebalance=0.5),
    augment=AugmentConfig(
        zoom=0.35,
        exposure=0.2,
        orthochromatic=0.15,
        tone_curve=0.1,
        fading=0.15,
        low_contrast=0.15,
        blur=0.15,
        scratches=0.03,
        stains=0.03,
        grain=0.1,
        jpeg=0.05,
    ),
    optimizer=OptimizerConfig(
        algorithm="muon",
        learning_rate=2e-3,
        weight_decay=0.05,
        second_moment=0.99,
        encoder_rate=0.15,
        frozen="depthwise",
    ),
    ema_decay=0.998,
    steps=3_400,
    batch=64,
)

PRESETS = {
    "seed-relu": Config(),
    "seed-relu2": Config(network=DenseConfig(depth=2)),
    "seed-sigmoid": Config(network=DenseConfig(output_activation="sigmoid")),
    "seed-sigmoid2": Config(
        network=DenseConfig(depth=2, hidden_activation="sigmoid", output_activation="sigmoid")
    ),
    "seed-tanh2": Config(
        network=DenseConfig(depth=2, hidden_activation="tanh", output_activation="tanh")
    ),
    "photo": _PHOTO,
    "photo-small": dataclasses.replace(_PHOTO, working_size=96),
}


def preset(name: str) -> Config:
    """Return a named config.

    Raises:
        ConfigError: there is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """Return the config with fields replaced, by dotted name: `{"network.depth": 2}`.

    Raises:
        ConfigError: an unknown field, or a value outside its domain.
    """
    for path, value in changes.items():
        config = _replace(config, path, path.split("."), value)
    return config


def _replace(config, path, names, value):
    name, *inner = names
    field = next((f for f in dataclasses.fields(config) if f.name == name), None)
    if field is None or (inner and not dataclasses.is_dataclass(getattr(config, name))):
        raise ConfigError(f"{_short(path)} is no field of the config")
    if inner:
        value = _replace(getattr(config, name), path, inner, value)
    elif fault := _fault(field, value):
        raise ConfigError(f"{path} is {reprlib.repr(value)}; expected {fault}")
    return dataclasses.replace(config, **{name: value})


def fit_config(
    config: Config, *, photos: int, passes: int | None = None, steps: int | None = None
) -> Config:
    """Fit a config to the number of training photos: batch, steps a pass, length of the run.

    Args:
        config: its batch shrinks to the number of photos.
        photos: at least 1.
        passes: length of the run; `steps` wins over it, and the config's own steps over neither.
        steps: length of the run.

    Raises:
        ConfigError: zero passes or steps, or parts that do not divide the batch.
    """
    batch = min(config.batch, photos)
    pass_steps = math.ceil(photos / batch)
    if passes is not None and passes < 1:
        raise ConfigError(f"passes is {passes}; expected an integer of at least 1")
    if batch % config.accumulate:
        raise ConfigError(
            f"accumulate is {config.accumulate}; expected a divisor of the batch, {batch}"
        )
    if steps is None:
        steps = config.steps if passes is None else passes * pass_steps
    return replace(config, {"batch": batch, "pass_steps": pass_steps, "steps": steps})


def to_json(config: Config) -> str:
    """Return the config as sorted, indented JSON."""
    fields = dataclasses.asdict(config)
    fields["network"]["kind"] = type(config.network).__name__
    return json.dumps(fields, indent=1, sort_keys=True)


def from_json(text: str) -> Config:
    """Return the config that `to_json` wrote; absent fields take their defaults.

    Raises:
        ConfigError: not JSON, an unknown field, or a value outside its domain.
    """
    try:
        fields = parse_json(text)
    except ValueError as error:
        raise ConfigError(f"the config is not JSON: {error}") from None
    changes = {name: value for name, value in _flatten(fields) if name not in RETIRED}
    kind = changes.pop("network.kind", "DenseConfig")
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise ConfigError(
            f"network.kind is {reprlib.repr(kind)}; expected one of {', '.join(NETWORKS)}"
        )
    return replace(Config(network=NETWORKS[kind]()), changes)


def _flatten(fields, prefix=""):
    if not isinstance(fields, dict):
        found = reprlib.repr(fields)
        raise ConfigError(f"{_short(prefix) or 'the config'} is {found}; expected a JSON object")
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _short(name):
    return name if len(name) < 80 and name.isprintable() else reprlib.repr(name)
