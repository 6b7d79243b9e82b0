"""The training step: a pure function from a state and a batch to the next state."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped, UInt8

from colorjax.color import rgb_to_gray
from colorjax.config import Config, check_accumulate, check_config
from colorjax.data import augment
from colorjax.errors import check, is_numeric
from colorjax.networks import check_key, check_params, init_params
from colorjax.networks.convolution import CONVOLVED
from colorjax.training.losses import loss, objective
from colorjax.training.optimizer import hold_frozen, make_optimizer, schedule

EVALUATED = 50  # photos evaluated at a time, to bound the memory


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["step", "params", "ema_params", "opt_state", "key", "skipped", "skipped_in_a_row"],
    meta_fields=[],
)
@dataclasses.dataclass(frozen=True)
class TrainState:
    """Everything that training carries from step to step.

    Attributes:
        step: The number of steps done. With the seed it also decides the next photos.
        params: The parameters of the network.
        ema_params: Their exponential moving average, or None.
        opt_state: The state of the optax chain.
        key: The random key for the augmentation of the next step.
        skipped: The number of steps that were not finite and changed nothing.
        skipped_in_a_row: The number of those since the last good step.
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
        """The parameters to evaluate and to keep."""
        return self.params if self.ema_params is None else self.ema_params


def init_state(key: PRNGKeyArray, config: Config, params: PyTree | None = None) -> TrainState:
    """Return the state before the first step.

    Args:
        key: The random key of the parameters and of all augmentation.
        config: The config of the network and its training.
        params: Parameters to start from, instead of random ones.

    Raises:
        ArgumentError: an argument is of the wrong kind, or the parameters are of another network.

    Example:
        >>> config = colorjax.preset("seed-relu")
        >>> state = colorjax.init_state(jax.random.key(0), config)
        >>> int(state.step)
        0
    """
    check_key(key)
    check_config(config)
    params_key, step_key = jax.random.split(key)
    params = init_params(params_key, config) if params is None else params
    check_params(params, config)
    opt_state = make_optimizer(config).init(params)
    ema_params = jax.tree.map(jnp.copy, params) if config.ema_decay else None
    zeros = [
        jnp.zeros((), jnp.int32) for _ in range(3)
    ]  # separate arrays, so that all can be donated
    return TrainState(zeros[0], params, ema_params, opt_state, step_key, *zeros[1:])


def augment_batch(
    key: PRNGKeyArray, rgb: Float[Array, "batch n n 3"], config: Config
) -> tuple[
    Float[Array, "batch size size"],
    Float[Array, "batch size size 3"],
]:
    """Augment a batch as the config says.

    Args:
        key: The random key.
        rgb: Levels in [0, 255], of the config's source size.
        config: The config. Its `augment`, `size` and `source_size` count.

    Returns:
        The gray that the network sees, and the truth.
    """
    how = config.augment
    keys = iter(jax.random.split(key, 13))
    if config.source_size:
        rgb = augment.random_view(next(keys), rgb, config.size, zoom=how.zoom)
    if how.mirror:
        rgb = augment.random_mirror(next(keys), rgb, probability=how.mirror)
    if how.exposure:
        rgb = augment.random_exposure(next(keys), rgb, spread=how.exposure)
    gray = _old_gray(keys, rgb, how)
    return gray, rgb


# from the gray of a photo to that of an old photo: film and lens first, then print and age, then the scanner
_AGEING = (
    ("tone_curve", augment.random_tone_curve, "strength"),
    ("blur", augment.random_blur, "share"),
    ("grain", augment.random_grain, "strength"),
    ("halftone", augment.random_halftone, "share"),
    ("low_contrast", augment.random_low_contrast, "strength"),
    ("fading", augment.random_fading, "strength"),
    ("stains", augment.random_stains, "share"),
    ("scratches", augment.random_scratches, "share"),
    ("jpeg", augment.random_jpeg_blocks, "share"),
)


def _old_gray(keys, rgb, how):
    """Make the gray look like that of an old photo. Effects that are turned off cost nothing."""
    if how.orthochromatic:
        gray = augment.random_orthochromatic_gray(next(keys), rgb, share=how.orthochromatic)
    else:
        gray = rgb_to_gray(rgb)
    for name, effect, option in _AGEING:
        if amount := getattr(how, name):
            gray = effect(next(keys), gray, **{option: amount})
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
        state: The state before the step.
        batch: RGB levels in [0, 255]. The gray is made here.
        config: The config. It is static under `jax.jit`.
        learning_rate: As for `make_optimizer`.
        weight_decay: As for `make_optimizer`.

    Returns:
        The state after the step, and a dict of metrics: `objective`, `loss` (of this batch before the step; not for the
        objective "chroma", for which it would cost a forward pass), `gradient_norm` (before clipping), `learning_rate`
        (the config's, on its schedule), `skipped` and `skipped_in_a_row`. A step that is not finite changes only the
        step, the key and these two counters.

    Raises:
        ArgumentError: an argument is of the wrong kind, or the state is of another network.
        ConfigError: the photos are not of the size of a dense network, `accumulate` does not divide the batch, or the
            network does not support the objective.

    Example:
        >>> config = colorjax.preset("seed-relu")
        >>> state = colorjax.init_state(jax.random.key(0), config)
        >>> batch = jax.numpy.full((4, 16, 16, 3), 128, np.uint8)
        >>> state, metrics = colorjax.train_step(state, batch, config)
        >>> int(state.step), sorted(metrics)[:2]
        (1, ['gradient_norm', 'learning_rate'])
    """
    check(isinstance(state, TrainState), "state", state, "a TrainState, as init_state gives it")
    check(is_numeric(batch, 4, 3), "batch", batch, "RGB levels, (batch, h, w, 3)")
    check_config(config)
    check_params(state.params, config)
    check_accumulate(config, len(batch))
    key, augment_key = jax.random.split(state.key)
    views = augment_batch(augment_key, batch.astype(jnp.float32), config)
    # without the barrier, XLA on a CPU would fuse the augmentation with the network and compute it for each use
    gray, rgb = jax.lax.optimization_barrier(views)
    value, gradients = _gradients(state.params, gray, rgb, config)
    optimizer = make_optimizer(config, learning_rate=learning_rate, weight_decay=weight_decay)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema_params = state.ema_params
    if (
        config.ema_decay
    ):  # a short memory at first, so that the initial parameters are soon forgotten
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
    if config.objective.name != "chroma":  # the others share their forward pass with the loss
        metrics["loss"] = loss(state.params, gray, rgb, config)
    after = TrainState(
        state.step + 1, params, ema_params, opt_state, key, metrics["skipped"], in_a_row
    )
    return after, metrics


def make_objective(config: Config) -> Callable[..., Float[Array, ""]]:
    """Return the objective as a function of params, gray and RGB, as the step differentiates it.

    With the config's `remat`, only the results of convolutions and matrix products are kept for the gradient.
    Everything in between is computed again.
    """

    def minimized(params, gray, rgb):
        return objective(hold_frozen(params, config), gray, rgb, config)

    policies = jax.checkpoint_policies
    kept = policies.save_from_both_policies(
        policies.save_only_these_names(CONVOLVED), policies.dots_saveable
    )
    return jax.checkpoint(minimized, policy=kept) if config.remat else minimized


def _gradients(params, gray, rgb, config):
    """Return the objective and its gradient, over the parts of the batch that `accumulate` asks for.

    The parts are unrolled, because XLA runs convolutions inside a loop far slower on CPUs. Each part waits for the
    gradients of those before it; otherwise XLA would keep all of them in memory at once.
    """
    grad = jax.value_and_grad(make_objective(config))
    parts = config.accumulate

    def fold(x):  # each part takes photos from all over the batch, so that every device has some
        return x.reshape(len(x) // parts, parts, *x.shape[1:]).swapaxes(0, 1)

    def part(i, wait):
        return jax.tree.map(lambda x: x[i] + wait, folded)

    folded = jax.tree.map(fold, (gray, rgb))
    total = grad(params, *part(0, 0.0))
    for i in range(1, parts):
        found = grad(params, *part(i, 0.0 * optax.tree.norm(total[1])))
        total = jax.tree.map(jnp.add, total, found)
    return jax.tree.map(lambda leaf: leaf / parts, total)


def _all_finite(tree):
    """Return whether all leaves of a tree are finite."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def train_chunk(
    state: TrainState,
    batches: UInt8[Array, "steps batch h w 3"] | Float[Array, "steps batch h w 3"],
    config: Config,
    *,
    learning_rate: Float[Array, ""] | None = None,
    weight_decay: Float[Array, ""] | None = None,
) -> tuple[TrainState, dict[str, Shaped[Array, " steps"]]]:
    """Take many steps in one scan. The arguments are those of `train_step`, with one more leading axis."""

    def step(state, batch):
        return train_step(
            state, batch, config, learning_rate=learning_rate, weight_decay=weight_decay
        )

    return jax.lax.scan(step, state, batches)


def evaluation_loss(
    params: PyTree, photos: UInt8[Array, "photos h w 3"], config: Config
) -> Float[Array, ""]:
    """Return the loss on photos without augmentation."""

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
    """Train a grid of hyper-parameters at once, all on the same batches and from the same start.

    Returns:
        The validation loss of each pair after the last step.
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
