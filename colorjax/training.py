"""The pure training step: state in, state out."""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped, UInt8

from colorjax import augment
from colorjax import config as configs
from colorjax.color import rgb_to_gray, rgb_to_luma_chroma
from colorjax.config import Config
from colorjax.errors import ConfigError
from colorjax.losses import loss, objective
from colorjax.networks import init_params

EVALUATED = 50  # photos at a time in an evaluation, to bound its memory


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "ema_params", "opt_state", "key", "skipped", "skipped_in_a_row"],
    meta_fields=[],
)
@dataclasses.dataclass(frozen=True)
class TrainState:
    """All that training carries from step to step.

    Attributes:
        step: steps done; with the seed it also decides the next photos (TRN-007).
        params: of the network.
        ema_params: their exponential moving average, or None.
        opt_state: of the optax chain.
        key: for the next step's augmentation.
        skipped: steps that were not finite and changed nothing (TRN-043).
        skipped_in_a_row: those since the last good step.
    """

    step: Any  # int32 scalar; JAX also puts shapes, shardings and None here
    params: PyTree
    ema_params: PyTree
    opt_state: PyTree
    key: Any
    skipped: Any
    skipped_in_a_row: Any

    @property
    def averaged(self) -> PyTree:
        """The parameters to evaluate and keep.

        Spec: TRN-034
        """
        return self.params if self.ema_params is None else self.ema_params


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

    Spec: TRN-016, TRN-060
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
    return configs.replace(config, {"batch": batch, "pass_steps": pass_steps, "steps": steps})


def schedule(config: Config) -> optax.Schedule:
    """Return the share of the learning rate at a step: warm-up, then the config's schedule.

    Source: seed S7 for 1 / pass³.
    Spec: TRN-004
    """
    optimizer = config.optimizer
    warmup = round(optimizer.warmup * config.steps)
    after: optax.Schedule
    match optimizer.schedule:
        case "constant":
            after = optax.constant_schedule(1.0)
        case "cosine":
            after = optax.cosine_decay_schedule(1.0, max(1, config.steps - warmup))
        case "inverse-cube":

            def inverse_cube(count):  # counts from the end of the warm-up
                return (1.0 + jnp.floor_divide(count + warmup, config.pass_steps)) ** -3.0

            after = inverse_cube
    if warmup == 0:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, 1.0, warmup), after], [warmup])


def make_optimizer(
    config: Config,
    *,
    learning_rate: Float[Array, ""] | None = None,
    weight_decay: Float[Array, ""] | None = None,
) -> optax.GradientTransformation:
    """Return the optax chain: clip by global norm, Adam, Muon or momentum, weight decay, schedule.

    Args:
        config: its `optimizer`, `steps` and `pass_steps` decide.
        learning_rate: in place of the config's; may be traced, as in a sweep.
        weight_decay: likewise.

    Spec: TRN-001, TRN-004, TRN-005, TRN-018, TRN-037
    """
    optimizer = config.optimizer
    rate = optimizer.learning_rate if learning_rate is None else learning_rate
    decay = optimizer.weight_decay if weight_decay is None else weight_decay
    return optax.chain(
        optax.clip_by_global_norm(optimizer.clip_norm),
        _direction(config),
        optax.add_decayed_weights(decay, _is_kernel),
        optax.scale_by_schedule(schedule(config)),
        optax.scale(-rate),
    )


def _direction(config: Config) -> optax.GradientTransformation:
    """Return the part of the chain that turns gradients into a direction."""
    second_moment = config.optimizer.second_moment
    match config.optimizer.algorithm:
        case "adam":
            return optax.scale_by_adam(b2=second_moment)
        case "momentum":
            return optax.trace(decay=0.9)
        case "muon":
            return optax.contrib.muon(
                -1.0,  # a direction up, as the others give; the chain's end turns it down
                ns_steps=4,
                preconditioning="aol",
                adam_b2=second_moment,
                muon_weight_dimension_numbers=_as_matrices,
                consistent_rms=0.2,  # updates as large as Adam's: the same learning rates serve
            )


def _as_matrices(params: PyTree) -> PyTree:
    """Tell Muon how kernels are matrices, from all that an output sees to the outputs; the rest is Adam's."""

    def axes(leaf):
        last = leaf.ndim - 1
        numbers = optax.contrib.MuonDimensionNumbers(tuple(range(last)), last)
        return numbers if leaf.ndim > 1 else None

    return jax.tree.map(axes, params)


def _is_kernel(params):
    """Tell which leaves decay: kernels, not biases or scales."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def init_state(key: PRNGKeyArray, config: Config, params: PyTree | None = None) -> TrainState:
    """Return the state before the first step.

    Args:
        key: decides the parameters and all augmentation.
        config: of the network and its training.
        params: to start from, in place of fresh ones.

    Spec: TRN-002
    """
    params_key, step_key = jax.random.split(key)
    params = init_params(params_key, config) if params is None else params
    opt_state = make_optimizer(config).init(params)
    ema_params = jax.tree.map(jnp.copy, params) if config.ema_decay else None
    zeros = [jnp.zeros((), jnp.int32) for _ in range(3)]  # each its own, so that all can be donated
    return TrainState(zeros[0], params, ema_params, opt_state, step_key, *zeros[1:])


def augment_batch(
    key: PRNGKeyArray, rgb: Float[Array, "batch n n 3"], config: Config
) -> tuple[
    Float[Array, "batch size size"],
    Float[Array, "batch size size 3"],
    Float[Array, "batch size size 3"] | None,
]:
    """Make what a step sees of photos, by the config's `augment`.

    Args:
        key: decides all.
        rgb: levels in [0, 255], of the config's source size.
        config: its `augment`, `size` and `source_size` decide.

    Returns:
        The gray, the truth and the hints (None without any).

    Spec: TRN-008, TRN-030, TRN-031, TRN-032, TRN-033
    """
    how = config.augment
    keys = iter(jax.random.split(key, 13))
    if config.source_size:
        rgb = augment.random_view(next(keys), rgb, config.size, zoom=how.zoom)
    rgb = augment.random_mirror(next(keys), rgb, probability=how.mirror)
    if how.exposure:
        rgb = augment.random_exposure(next(keys), rgb, spread=how.exposure)
    gray = _old_gray(keys, rgb, how)
    hints = None
    if how.hints:
        chroma = rgb_to_luma_chroma(rgb)[1]
        hints = augment.random_hints(next(keys), chroma, share=how.hints)
    return gray, rgb, hints


def _old_gray(keys, rgb, how):
    """Make the gray as an old photo's would be: film and lens first, then age, then the scanner."""
    gray = rgb_to_gray(rgb)
    if how.orthochromatic:
        gray = augment.random_orthochromatic_gray(next(keys), rgb, share=how.orthochromatic)
    if how.tone_curve:
        gray = augment.random_tone_curve(next(keys), gray, strength=how.tone_curve)
    if how.blur:
        gray = augment.random_blur(next(keys), gray, share=how.blur)
    if how.grain:
        gray = augment.random_grain(next(keys), gray, strength=how.grain)
    if how.low_contrast:
        gray = augment.random_low_contrast(next(keys), gray, strength=how.low_contrast)
    if how.fading:
        gray = augment.random_fading(next(keys), gray, strength=how.fading)
    if how.stains:
        gray = augment.random_stains(next(keys), gray, share=how.stains)
    if how.scratches:
        gray = augment.random_scratches(next(keys), gray, share=how.scratches)
    if how.jpeg:
        gray = augment.random_jpeg_blocks(next(keys), gray, share=how.jpeg)
    return gray


def train_step(
    state: TrainState,
    batch: UInt8[Array, "batch h w 3"] | Float[Array, "batch h w 3"],
    config: Config,
    *,
    learning_rate: Float[Array, ""] | None = None,
    weight_decay: Float[Array, ""] | None = None,
) -> tuple[TrainState, dict[str, Shaped[Array, ""]]]:
    """Take one step on a batch of photos.

    Args:
        state: before the step.
        batch: RGB levels in [0, 255]; the gray is made here.
        config: static under jit.
        learning_rate: as for `make_optimizer`.
        weight_decay: as for `make_optimizer`.

    Returns:
        The state after it, and `objective`, `loss` (the seed's, of this batch before the step; not with the objective
        `chroma`, which would pay a forward pass for it), `gradient_norm` (before clipping), `learning_rate` (the
        config's, on its schedule), `skipped` and `skipped_in_a_row`. A step that is not finite changes nothing but
        step, key and the two counts.

    Spec: TRN-002, TRN-003, TRN-043, TRN-060, TRN-061
    """
    key, augment_key = jax.random.split(state.key)
    gray, rgb, hints = augment_batch(augment_key, batch.astype(jnp.float32), config)
    value, gradients = _gradients(state.params, gray, rgb, hints, config)
    optimizer = make_optimizer(config, learning_rate=learning_rate, weight_decay=weight_decay)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if config.ema_decay:  # a short memory at first, so that the start is soon forgotten
        decay = jnp.minimum(config.ema_decay, (1 + state.step) / (10 + state.step))
        ema_params = optax.incremental_update(params, ema_params, 1 - decay)

    norm = optax.tree.norm(gradients)
    good = jnp.isfinite(value) & jnp.isfinite(norm) & _all_finite(params)
    params, ema_params, opt_state = jax.tree.map(
        lambda new, old: jnp.where(good, new, old),
        (params, ema_params, opt_state),
        (state.params, state.ema_params, state.opt_state),
    )
    in_a_row = jnp.where(good, 0, state.skipped_in_a_row + 1)
    metrics = {
        "objective": value,
        "gradient_norm": norm,
        "learning_rate": config.optimizer.learning_rate * schedule(config)(state.step),
        "skipped": state.skipped + ~good,
        "skipped_in_a_row": in_a_row,
    }
    if config.objective.name != "chroma":  # the others share their forward pass with it
        metrics["loss"] = loss(state.params, gray, rgb, config)
    after = TrainState(
        state.step + 1, params, ema_params, opt_state, key, metrics["skipped"], in_a_row
    )
    return after, metrics


def make_objective(config: Config) -> Callable[..., Float[Array, ""]]:
    """Return the objective as the step differentiates it: of params, gray, RGB and hints.

    With the config's `remat` only what convolutions and matrix products gave is kept for the gradient; what lies
    between is computed again.

    Spec: TRN-061
    """

    def asked(params, gray, rgb, hints):
        return objective(params, gray, rgb, config, hints=hints)

    return jax.checkpoint(asked, policy=_is_dear) if config.remat else asked


def _gradients(params, gray, rgb, hints, config):
    """Return the objective and its gradient, over the parts of the batch that `accumulate` asks for."""
    asked = partial(objective, config=config)
    if config.remat:
        asked = jax.checkpoint(asked, policy=_is_dear)
    grad = jax.value_and_grad(
        lambda params, gray, rgb, hints: asked(params, gray, rgb, hints=hints)
    )
    parts = config.accumulate
    if parts == 1:
        return grad(params, gray, rgb, hints)

    def fold(x):  # each part takes photos from all over the batch, so that all devices have some
        return x.reshape(len(x) // parts, parts, *x.shape[1:]).swapaxes(0, 1)

    def add(total, part):
        return jax.tree.map(jnp.add, total, grad(params, *part)), None

    nothing = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, params))
    total, _ = jax.lax.scan(add, nothing, jax.tree.map(fold, (gray, rgb, hints)))
    return jax.tree.map(lambda leaf: leaf / parts, total)


def _is_dear(primitive, *_, **__):
    """Tell which results are worth keeping for the gradient: those of convolutions and matrix products."""
    return primitive.name in ("conv_general_dilated", "dot_general")


def _all_finite(tree):
    """Tell whether all leaves of a tree are finite."""
    finite = jax.tree.map(lambda leaf: jnp.all(jnp.isfinite(leaf)), tree)
    return jax.tree.reduce(jnp.logical_and, finite, jnp.array(True))


def train_chunk(
    state: TrainState,
    batches: UInt8[Array, "steps batch h w 3"] | Float[Array, "steps batch h w 3"],
    config: Config,
    *,
    learning_rate: Float[Array, ""] | None = None,
    weight_decay: Float[Array, ""] | None = None,
) -> tuple[TrainState, dict[str, Shaped[Array, " steps"]]]:
    """Take many steps in one scan; arguments as for `train_step`, with one more leading axis.

    Spec: TRN-006
    """

    def step(state, batch):
        return train_step(
            state, batch, config, learning_rate=learning_rate, weight_decay=weight_decay
        )

    return jax.lax.scan(step, state, batches)


def evaluation_loss(
    params: PyTree, photos: UInt8[Array, "photos h w 3"], config: Config
) -> Float[Array, ""]:
    """Return the seed's loss on photos as they are, without augmentation.

    Spec: TRN-011
    """

    def one(photo):
        rgb = photo.astype(jnp.float32)
        return loss(params, rgb_to_gray(rgb), rgb, config)

    if len(photos) <= EVALUATED:
        return one(photos)
    return jnp.mean(jax.lax.map(one, photos, batch_size=EVALUATED))


def sweep(
    key: PRNGKeyArray,
    batches: UInt8[Array, "steps batch h w 3"] | Float[Array, "steps batch h w 3"],
    validation: UInt8[Array, "photos h w 3"],
    learning_rates: Float[Array, " rates"],
    weight_decays: Float[Array, " decays"],
    config: Config,
) -> Float[Array, "rates decays"]:
    """Train a grid of hyper-parameters at once, all on the same batches from the same start.

    Returns:
        The validation loss of each pair after the last step.

    Source: seed F5, F6.
    Spec: TRN-018
    """

    def train(learning_rate, weight_decay):
        state, _ = train_chunk(
            init_state(key, config),
            batches,
            config,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
        )
        return evaluation_loss(state.params, validation, config)

    over_decays = jax.vmap(train, in_axes=(None, 0))
    return jax.vmap(over_decays, in_axes=(0, None))(learning_rates, weight_decays)
