"""Configs: frozen, checked dataclasses; the presets; and JSON in and out.

Each field declares its own domain. A Literal annotation lists the choices, and `number(...)` gives the range.
"""

import dataclasses
import json
import math
import numbers
import reprlib
import typing
from typing import Any, Literal

from colorjax.errors import ConfigError, check
from colorjax.jsontext import leaves, parse_json

MAX_VIVIDNESS = 1000  # the largest vividness
MAX_SIDE = 4096  # the largest side of a training photo, a working copy or an evaluated photo
MAX_STEPS = 2**31 - 1  # the step is an int32
MAX_SEED = 2**63 - 1  # the largest seed of jax.random.key
MAX_NUMBER = 1e300  # the largest number in a config; larger integers would overflow a float


def number(
    default: Any,
    *,
    at_least: int | float | None = None,
    above: int | float | None = None,
    at_most: int | float | None = None,
) -> Any:
    """Declare a numeric field: a finite int or float within bounds. The annotation of the field gives its type."""
    bounds = {"at_least": at_least, "above": above, "at_most": at_most}
    return dataclasses.field(default=default, metadata=bounds)


class Checked:
    """The base of all configs. It checks every field when a config is made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            if fault := _fault(field, value):
                raise ConfigError(f"{field.name} is {reprlib.repr(value)}; expected {fault}")


def _fault(field, value) -> str | None:
    """Return what was expected of a field, or None if its value is valid."""
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
    """A fully connected network of widths n² → (3 · multiple · n²) depth times → 3 n², without biases.

    Attributes:
        depth: The number of hidden layers.
        hidden_activation: The activation of every hidden layer.
        output_activation: Maps the last pre-activation to [0, 1].
        hidden_multiple: The ratio of hidden width to output width.
        initial_scale: k. Initial weights are uniform in [-k, k].
        copy_gray: Whether the initial weights also copy gray to the outputs.
    """

    depth: int = number(1, at_least=1, at_most=100)
    hidden_activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    output_activation: Literal["clip", "sigmoid", "tanh"] = "clip"
    hidden_multiple: int = number(5, at_least=1, at_most=1000)
    initial_scale: float = number(0.005, at_least=0)
    copy_gray: bool = True


@dataclasses.dataclass(frozen=True)
class PhotoConfig(Checked):
    """The photo network: a pretrained encoder, a decoder, and a head over chroma bins in log-polar coordinates.

    Attributes:
        encoder: The size of EfficientNet-Lite.
        stages: How many of the encoder's seven stages are used. With five or fewer, its coarsest stride is 16.
        bottom: Channels of the decoder at the coarsest stride of the encoder.
        coarse: Channels at stride 16, if that is not the coarsest.
        middle: Channels at stride 8.
        fine: Channels at stride 4.
        coarse_blocks: Residual blocks at stride 16, if that is not the coarsest.
        middle_blocks: Residual blocks at stride 8.
        fine_blocks: Residual blocks at stride 4.
        group: Channels that share a normalization.
        head_width: Channels before the last layer of the head.
        rings: Rings of bins around the neutral bin.
        hues: Bins per ring.
        ring_scale: In levels. Ring j lies at ring_scale · (exp(ring_growth · j) − 1).
        ring_growth: The growth of the radius from ring to ring.
        compute: The type of activations inside the network. Parameters, outputs and losses are always float32.
        depthwise: "fastest" uses the fastest implementation of depthwise convolutions on each device, "native" always
            the native operation.
    """

    encoder: Literal["lite0", "lite2"] = "lite0"
    stages: int = number(7, at_least=3, at_most=7)
    bottom: int = number(256, at_least=1, at_most=4096)
    coarse: int = number(160, at_least=1, at_most=4096)
    middle: int = number(96, at_least=1, at_most=4096)
    fine: int = number(48, at_least=1, at_most=4096)
    coarse_blocks: int = number(1, at_least=1, at_most=8)
    middle_blocks: int = number(1, at_least=1, at_most=8)
    fine_blocks: int = number(1, at_least=1, at_most=8)
    group: int = number(16, at_least=1, at_most=4096)
    head_width: int = number(96, at_least=1, at_most=4096)
    rings: int = number(7, at_least=1, at_most=64)
    hues: int = number(12, at_least=3, at_most=360)
    ring_scale: float = number(20.0, above=0, at_most=1000)
    ring_growth: float = number(0.3, above=0, at_most=1)
    compute: Literal["float32", "bfloat16"] = "float32"
    depthwise: Literal["fastest", "native"] = "fastest"


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(Checked):
    """What training minimizes: one objective, or a weighted sum for the photo network.

    Attributes:
        name: "matching" or "squared-error" for any network. "chroma" for the photo network: the weighted sum of the
            terms below.
        likelihood: Weight of the cross-entropy of the chroma distribution.
        robust: Weight of the robust distance between the decoded chroma and the truth.
        photo_error: Weight of the logarithm of each photo's mean squared chroma error.
        rebalance: How much rare colors count in the likelihood. At 0 all colors count alike, at 1 by their inverse
            frequency.
    """

    name: Literal["matching", "squared-error", "chroma"] = "matching"
    likelihood: float = number(1.0, at_least=0)
    robust: float = number(1.0, at_least=0)
    photo_error: float = number(0.2, at_least=0)
    rebalance: float = number(0.0, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Checked):
    """Augmentation of training photos. Each value of 0 turns one augmentation off.

    Attributes:
        mirror: The probability that a photo is mirrored left to right.
        zoom: The side of a view is between 1 − zoom and 1 of the photo's. Its aspect ratio also changes a little.
        exposure: The standard deviation of the logarithm of the power to which a photo is raised.
        orthochromatic: The probability of film that is sensitive to blue but not to red.
        tone_curve: The standard deviation of the logarithm of the power to which only the gray is raised.
        fading: How far black may rise and white may fall.
        low_contrast: How far levels may move toward their mean.
        blur: The probability of blur.
        scratches: The probability of scratches.
        stains: The probability of stains.
        grain: The strength of film grain.
        halftone: The probability of a halftone screen.
        jpeg: The probability of the blocks of a low-quality JPEG.
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
    halftone: float = number(0.0, at_least=0, at_most=1)
    jpeg: float = number(0.0, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Checked):
    """The optimizer: clipping, Adam, Muon or momentum, weight decay, and a schedule.

    Attributes:
        algorithm: "adam"; "muon" for kernels, with Adam for the rest; or "momentum", gradient descent with momentum
            0.9.
        learning_rate: The peak learning rate.
        schedule: After the warm-up: "constant", "cosine" to 0, or "inverse-cube", which is 1 / pass³.
        warmup: The share of the steps in which the learning rate rises from 0.
        weight_decay: λ. Each update also subtracts rate · λ · weight, except from biases and normalizations.
        clip_norm: The largest global norm of a gradient.
        second_moment: The decay of Adam's second moment.
        encoder_rate: A factor on the learning rate of the photo network's pretrained encoder.
        frozen: The part of the photo network that never changes: "depthwise" kernels, "early" (these and the encoder up
            to stride 4), or the whole "encoder".
    """

    algorithm: Literal["adam", "muon", "momentum"] = "adam"
    learning_rate: float = number(1e-4, above=0)
    schedule: Literal["constant", "cosine", "inverse-cube"] = "cosine"
    warmup: float = number(0.05, at_least=0, at_most=1)
    weight_decay: float = number(0.0, at_least=0)
    clip_norm: float = number(1.0, above=0)
    second_moment: float = number(0.999, at_least=0, at_most=0.9999)
    encoder_rate: float = number(1.0, at_least=0)
    frozen: Literal["nothing", "depthwise", "early", "encoder"] = "nothing"


@dataclasses.dataclass(frozen=True)
class Config(Checked):
    """Everything that decides a network and its training.

    Attributes:
        network: The architecture.
        size: n. Training uses photos of n × n, and a dense network always does.
        source_size: The side at which training photos are stored, for views to be cut from them. 0 means `size`.
        working_size: The short side of the working copy that the photo network sees. 0 means `size`.
        softness: The factor by which the photo network's working copy is shrunk and enlarged again, which softens it. 1
            means sharp.
        spread: The factor by which predicted chroma differs more from its mean over the photo. Means of distributions
            pull all things toward one tone.
        vividness: The factor on predicted chroma that `colorize` treats as natural. Means of distributions look dull.
        knee: The length in levels toward which strong predicted chroma is compressed, before that factor. 0 means none.
        framing: "squash" the photo to a square, "crop" its center, or keep it "whole" for random views.
        objective: What training minimizes.
        augment: How training photos are augmented.
        optimizer: The optimizer.
        ema_decay: The decay of the averaged parameters, which are evaluated and stored. 0 means no averaging.
        steps: The length of training. The schedule ends there.
        pass_steps: The steps per pass over the photos, for the schedule 1 / pass³.
        batch: Photos per step.
        accumulate: The number of parts in which a step processes its batch. It must divide the batch.
        remat: Whether to save memory by recomputing what lies between convolutions for the gradient.
        shard: The number of devices that share one copy of the parameters, for networks that are too large for one.
    """

    network: DenseConfig | PhotoConfig = DenseConfig()
    size: int = number(16, at_least=1, at_most=MAX_SIDE)
    source_size: int = number(0, at_least=0, at_most=MAX_SIDE)
    working_size: int = number(0, at_least=0, at_most=MAX_SIDE)
    softness: float = number(1.0, at_least=1, at_most=16)
    spread: float = number(1.0, at_least=0, at_most=16)
    vividness: float = number(1.0, at_least=0, at_most=MAX_VIVIDNESS)
    knee: float = number(0.0, at_least=0, at_most=10_000)
    framing: Literal["squash", "crop", "whole"] = "squash"
    objective: ObjectiveConfig = ObjectiveConfig()
    augment: AugmentConfig = AugmentConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    ema_decay: float = number(0.0, at_least=0, at_most=0.9999)
    steps: int = number(1000, at_least=1, at_most=MAX_STEPS)
    pass_steps: int = number(1, at_least=1)
    batch: int = number(50, at_least=1)
    accumulate: int = number(1, at_least=1)
    remat: bool = False
    shard: int = number(1, at_least=1)


# fields of older versions that existing weights files contain; they only describe how the network was trained
RETIRED = ("augment.old", "augment.hints")

NETWORKS = {"DenseConfig": DenseConfig, "PhotoConfig": PhotoConfig}

_PHOTO = Config(
    network=PhotoConfig(),
    size=96,
    source_size=128,
    working_size=224,
    softness=1.55,
    spread=1.08,
    vividness=1.1,
    knee=67.0,
    framing="whole",
    objective=ObjectiveConfig(name="chroma", rebalance=0.5, photo_error=0.4),
    augment=AugmentConfig(
        zoom=0.2,
        exposure=0.2,
        orthochromatic=0.15,
        tone_curve=0.1,
        fading=0.15,
        low_contrast=0.15,
        blur=0.15,
        scratches=0.03,
        stains=0.03,
        grain=0.1,
        halftone=0.03,
        jpeg=0.05,
    ),
    optimizer=OptimizerConfig(
        algorithm="muon",
        learning_rate=2e-3,
        weight_decay=0.05,
        second_moment=0.99,
        encoder_rate=0.15,
        frozen="early",
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
    "photo-small": dataclasses.replace(_PHOTO, working_size=96, softness=1.5),
}


def check_config(config: object) -> None:
    """Check that a value is a config.

    Raises:
        ArgumentError: it is not.
    """
    check(isinstance(config, Config), "config", config, "a Config, such as preset('photo')")


def check_accumulate(config: Config, batch: int) -> None:
    """Check that the parts of a batch have the same size.

    Raises:
        ConfigError: `accumulate` does not divide the batch.
    """
    if batch % config.accumulate:
        raise ConfigError(
            f"accumulate is {config.accumulate}; expected a divisor of the batch, {batch}"
        )


def preset(name: str) -> Config:
    """Return a preset by name.

    Args:
        name: One of "seed-relu", "seed-relu2", "seed-sigmoid", "seed-sigmoid2", "seed-tanh2", "photo" and
            "photo-small".

    Raises:
        ConfigError: there is no such preset.

    Example:
        >>> colorjax.preset("photo").working_size
        224
    """
    if not isinstance(name, str) or name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """Return a config with some fields replaced, by dotted name, such as `{"network.depth": 2}`.

    Raises:
        ConfigError: a field is unknown, or a value is outside its domain.
    """
    for path, value in changes.items():
        config = _replace(config, path, path.split("."), value)
    return config


def _replace(config, path, names, value):
    name, *inner = names
    field = next((f for f in dataclasses.fields(config) if f.name == name), None)
    if field is None or (inner and not dataclasses.is_dataclass(getattr(config, name))):
        raise ConfigError(f"{_short(path)} is not a field of the config")
    if inner:
        value = _replace(getattr(config, name), path, inner, value)
    elif fault := _fault(field, value):
        raise ConfigError(f"{path} is {reprlib.repr(value)}; expected {fault}")
    return dataclasses.replace(config, **{name: value})


def fit_config(
    config: Config, *, photos: int, passes: int | None = None, steps: int | None = None
) -> Config:
    """Fit a config to the number of training photos: the batch, the steps per pass, and the length of the run.

    Args:
        config: The config. Its batch shrinks to the number of photos.
        photos: The number of photos, at least 1.
        passes: The length of the run in passes.
        steps: The length of the run in steps, which takes precedence over `passes`. Without either, the config's own
            number of steps is used.

    Raises:
        ArgumentError: the config is not a `Config`.
        ConfigError: the number of photos, passes or steps is not an integer of at least 1, or `accumulate` does not
            divide the batch.

    Example:
        >>> config = colorjax.fit_config(colorjax.preset("seed-relu"), photos=120, passes=3)
        >>> config.batch, config.pass_steps, config.steps
        (50, 3, 9)
    """
    check_config(config)
    counts = {"photos": photos} if passes is None else {"photos": photos, "passes": passes}
    for name, count in counts.items():
        if not isinstance(count, numbers.Integral) or count < 1:
            raise ConfigError(f"{name} is {reprlib.repr(count)}; expected an integer of at least 1")
    batch = min(config.batch, photos)
    pass_steps = math.ceil(photos / batch)
    check_accumulate(config, batch)
    if steps is None:
        steps = config.steps if passes is None else passes * pass_steps
    return replace(config, {"batch": batch, "pass_steps": pass_steps, "steps": steps})


def to_json(config: Config) -> str:
    """Return a config as sorted, indented JSON."""
    fields = dataclasses.asdict(config)
    fields["network"]["kind"] = type(config.network).__name__
    return json.dumps(fields, indent=1, sort_keys=True)


def from_json(text: str) -> Config:
    """Return the config from a text that `to_json` wrote. Missing fields take their defaults.

    Raises:
        ConfigError: the text is not JSON, a field is unknown, or a value is outside its domain.
    """
    try:
        fields = parse_json(text)
    except ValueError as error:
        raise ConfigError(f"the config is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ConfigError(f"the config is {reprlib.repr(fields)}; expected a JSON object")
    changes = {name: value for name, value in leaves(fields) if name not in RETIRED}
    kind = changes.pop("network.kind", "DenseConfig")
    if not isinstance(kind, str) or kind not in NETWORKS:
        raise ConfigError(
            f"network.kind is {reprlib.repr(kind)}; expected one of {', '.join(NETWORKS)}"
        )
    return replace(Config(network=NETWORKS[kind]()), changes)


def _short(name):
    return name if len(name) < 80 and name.isprintable() else reprlib.repr(name)
