"""Frozen, checked configs; the presets; JSON in and out.

Fields declare their own domain: a Literal annotation lists the choices, `number(...)` the range.
"""

import dataclasses
import json
import math
import typing
from typing import Any, Literal

from colorjax.errors import ConfigError


def number(
    default: Any,
    *,
    at_least: int | float | None = None,
    above: int | float | None = None,
    at_most: int | float | None = None,
) -> Any:
    """Declare a field: a finite int or float (as the default is) within the bounds.

    Spec: NET-011
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most}
    return dataclasses.field(default=default, metadata=bounds)


class Checked:
    """Base of all configs: checks each field when made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            if fault := _fault(field, value):
                raise ConfigError(f"{field.name} is {value!r}; expected {fault}")


def _fault(field, value) -> str | None:
    """Return what was expected of a field, or None if its value is fine."""
    kind = field.type
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return None if value in choices else f"one of {', '.join(map(str, choices))}"
    if kind not in (int, float):
        return None if isinstance(value, kind) else f"a {getattr(kind, '__name__', kind)}"
    fits = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    low, above, high = (field.metadata.get(k) for k in ("at_least", "above", "at_most"))
    if (
        fits
        and math.isfinite(value)
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

    depth: int = number(1, at_least=1)
    hidden_activation: Literal["relu", "sigmoid", "tanh"] = "relu"
    output_activation: Literal["clip", "sigmoid", "tanh"] = "clip"
    hidden_multiple: int = number(5, at_least=1)
    initial_scale: float = number(0.005, at_least=0)
    copy_gray: bool = True


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Checked):
    """The optax chain: clipping, Adam or momentum, weight decay, a schedule.

    Attributes:
        algorithm: Adam, or gradient descent with momentum 0.9.
        learning_rate: peak step size.
        schedule: after the warm-up: constant, a cosine to 0, or 1 / pass³.
        warmup: share of the steps over which the rate rises from 0.
        weight_decay: λ; each update also takes rate · λ of every weight away.
        clip_norm: largest global norm of a gradient.
    """

    algorithm: Literal["adam", "momentum"] = "adam"
    learning_rate: float = number(1e-4, above=0)
    schedule: Literal["constant", "cosine", "inverse-cube"] = "cosine"
    warmup: float = number(0.05, at_least=0, at_most=1)
    weight_decay: float = number(0.0, at_least=0)
    clip_norm: float = number(1.0, above=0)


@dataclasses.dataclass(frozen=True)
class Config(Checked):
    """All that decides a network and how it is trained.

    Attributes:
        network: the architecture.
        size: n; photos are seen as n × n.
        framing: squash the photo's aspect to the square, or crop its centre.
        objective: what training minimises (LOS-005, LOS-007).
        mirror: probability that a training photo is mirrored.
        optimizer: the optax chain.
        steps: length of training; the schedule ends there.
        pass_steps: steps a pass over the photos, for the schedule 1 / pass³.
        batch: photos a step.
    """

    network: DenseConfig = DenseConfig()
    size: int = number(16, at_least=1)
    framing: Literal["squash", "crop"] = "squash"
    objective: Literal["matching", "squared-error"] = "matching"
    mirror: float = number(0.5, at_least=0, at_most=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    steps: int = number(1000, at_least=1)
    pass_steps: int = number(1, at_least=1)
    batch: int = number(50, at_least=1)


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
}


def preset(name: str) -> Config:
    """Return a named config.

    Raises:
        ConfigError: there is no such preset.

    Spec: NET-001, NET-011
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}; there are {', '.join(PRESETS)}")
    return PRESETS[name]


def replace(config: Config, changes: dict[str, Any]) -> Config:
    """Return the config with fields replaced, by dotted name: `{"network.depth": 2}`.

    Raises:
        ConfigError: an unknown field, or a value outside its domain.

    Spec: NET-011
    """
    for path, value in changes.items():
        config = _replace(config, path, path.split("."), value)
    return config


def _replace(config, path, names, value):
    name, *inner = names
    field = next((f for f in dataclasses.fields(config) if f.name == name), None)
    if field is None or (inner and not dataclasses.is_dataclass(getattr(config, name))):
        raise ConfigError(f"{path} is no field of the config")
    if inner:
        value = _replace(getattr(config, name), path, inner, value)
    elif fault := _fault(field, value):
        raise ConfigError(f"{path} is {value!r}; expected {fault}")
    return dataclasses.replace(config, **{name: value})


def to_json(config: Config) -> str:
    """Return the config as sorted, indented JSON.

    Spec: NET-011
    """
    return json.dumps(dataclasses.asdict(config), indent=1, sort_keys=True)


def from_json(text: str) -> Config:
    """Return the config that `to_json` wrote; absent fields take their defaults.

    Raises:
        ConfigError: not JSON, an unknown field, or a value outside its domain.

    Spec: NET-011
    """
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"the config is not JSON: {error}") from None
    return replace(Config(), dict(_flatten(fields)))


def _flatten(fields, prefix=""):
    if not isinstance(fields, dict):
        raise ConfigError(f"{prefix or 'the config'} is {fields!r}; expected a JSON object")
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
