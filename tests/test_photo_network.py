"""The photo network: shapes, bins, decoding."""

import dataclasses

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import numpy_network
import pytest
from hypothesis import strategies as st
from photo_network import small

import colorjax
from colorjax.jsontext import leaves
from colorjax.networks import bins, photo


def drawn(conf, seed=0):
    """Return parameters with nothing at zero, so that every path through the network counts."""
    params = colorjax.init_params(jax.random.key(seed), conf)
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) + np.float32(0.1) * rng.normal(size=leaf.shape).astype("f"),
        params,
    )


apply = jax.jit(photo.apply_photo, static_argnames="config")
encode = jax.jit(bins.encode_chroma, static_argnames="config")
forward = jax.jit(
    lambda *arrays, config: colorjax.forward(*arrays, config), static_argnames="config"
)


gradients = jax.jit(
    jax.grad(lambda *arrays, config: colorjax.loss(*arrays, config)), static_argnames="config"
)


def grays(seed, *shape):
    return jax.random.uniform(jax.random.key(seed), shape, maxval=255)


@pytest.mark.req("NET-020")
@pytest.mark.parametrize("compute", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
def test_shapes_and_batches(compute):
    conf = small(**{"network.compute": compute})
    params = drawn(conf)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    gray = grays(0, 3, 32, 46)
    head = apply(params, gray, config=conf.network)
    count = 1 + conf.network.rings * conf.network.hues
    assert head.shape == (3, 8, 12, count)
    assert head.dtype == jnp.float32
    assert np.all(np.isfinite(head))
    if compute == "float32":
        one = np.stack([apply(params, g, config=conf.network) for g in gray])
        np.testing.assert_allclose(one, head, atol=1e-4, rtol=1e-4)
        mapped = jax.vmap(lambda g: apply(params, g, config=conf.network))(gray)
        np.testing.assert_allclose(mapped, head, atol=1e-4, rtol=1e-4)


@pytest.mark.req("NET-035")
def test_one_program_without_jit(caplog):
    conf = small()
    shapes = jax.eval_shape(lambda: colorjax.init_params(jax.random.key(0), conf))
    params = jax.tree.map(lambda leaf: np.full(leaf.shape, 0.1, np.float32), shapes)
    gray = jnp.zeros((1, 24, 20))  # a size that no other test compiles
    with jax.log_compiles():
        photo.apply_photo(params, gray, conf.network)
    compiled = [r for r in caplog.records if r.message.startswith("Compiling jit(")]
    assert len(compiled) == 1


@pytest.mark.req("NET-034")
@pytest.mark.parametrize("stages", [7, pytest.param(5, marks=pytest.mark.slow)])
def test_network_equals_numpy(stages):
    widths = {"bottom": 20, "coarse": 16, "middle": 12, "fine": 8, "head_width": 10}
    blocks = {"coarse_blocks": 2, "middle_blocks": 1, "fine_blocks": 1, "stages": stages}
    conf = small(**{f"network.{name}": value for name, value in (widths | blocks).items()})
    params = numpy_network.drawn(lambda: colorjax.init_params(jax.random.key(0), conf))
    gray = np.asarray(grays(3, 2, 77, 90))
    network = jax.jit(photo.apply_photo_features, static_argnames="config")
    found = network(params, gray, config=conf.network)
    truth = [numpy_network.colored(params, each, conf.network) for each in gray]
    for ours, theirs in zip(found, zip(*truth, strict=True), strict=True):
        theirs = np.stack(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


@pytest.mark.req("NET-034")
def test_initial_parameters():
    conf = small(**{"network.fine_blocks": 2})
    params = colorjax.init_params(jax.random.key(0), conf)
    for path, leaf in leaves(params):
        *_, layer, name = path.split(".")
        zero = layer == "conv_1" or (layer == "conv_3" and "up_" in path)
        if name == "scale":
            np.testing.assert_array_equal(leaf, 1)
        elif name == "bias" or zero:
            np.testing.assert_array_equal(leaf, 0)
        else:
            gain = 2 if path.startswith("encoder.") else 1
            deviation = np.sqrt(gain / np.prod(leaf.shape[:-1]))
            # five standard errors of a normal sample's deviation
            np.testing.assert_allclose(np.std(leaf), deviation, rtol=5 / np.sqrt(2 * leaf.size))


@pytest.mark.req("NET-021")
@hypothesis.given(seed=st.integers(0, 2**32 - 1))
def test_soft_encoding(seed):
    network = small().network
    centers = bins.bin_centers(network)
    last = np.hypot(*centers[-1])
    rng = np.random.default_rng(seed)
    radius, hue = rng.uniform(0, last, 64), rng.uniform(-np.pi, np.pi, 64)
    chroma = (radius * np.stack([np.cos(hue), np.sin(hue)])).T.astype(np.float32)
    shares = np.asarray(bins.encode_chroma(jnp.asarray(chroma), network))
    assert shares.min() >= 0
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    assert (shares > 0).sum(-1).max() <= 4
    error = np.hypot(*(shares @ centers - chroma).T)
    assert np.all(error <= 0.1 * radius + 2)
    neutral = bins.encode_chroma(jnp.zeros((1, 2)), network)
    np.testing.assert_array_equal(neutral[0], np.eye(len(centers))[0])


def on_circles(ring, hue, network):
    """Return the chroma at a ring and a hue that are counted in bins, fractions included."""
    radius = network.ring_scale * (np.exp(network.ring_growth * np.asarray(ring, float)) - 1)
    angle = 2 * np.pi * np.asarray(hue, float) / network.hues
    chroma = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)
    return chroma.astype(np.float32)


@pytest.mark.req("NET-021")
@hypothesis.given(seed=st.integers(0, 2**32 - 1))
def test_shares_are_bilinear_in_ring_and_hue(seed):
    network = small().network
    rng = np.random.default_rng(seed)
    ring, hue = rng.integers(0, network.rings, 64), rng.integers(0, network.hues, 64)
    outward, onward = rng.uniform(0, 1, (2, 64))
    expected = np.zeros((64, network.rings + 1, network.hues))
    each = np.arange(64)
    for beyond, share in ((0, 1 - outward), (1, outward)):
        expected[each, ring + beyond, hue] += share * (1 - onward)
        expected[each, ring + beyond, (hue + 1) % network.hues] += share * onward
    neutral, rings = expected[:, 0].sum(-1, keepdims=True), expected[:, 1:].reshape(64, -1)
    shares = encode(on_circles(ring + outward, hue + onward, network), config=network)
    np.testing.assert_allclose(shares, np.concatenate([neutral, rings], -1), atol=1e-4)


@pytest.mark.req("NET-021")
def test_bins_are_rings_around_neutral():
    network = small().network
    ring, hue = np.divmod(np.arange(network.rings * network.hues), network.hues)
    expected = np.concatenate([np.zeros((1, 2)), on_circles(ring + 1, hue, network)])
    np.testing.assert_allclose(bins.bin_centers(network), expected, atol=1e-3)


@pytest.mark.req("NET-021")
@pytest.mark.parametrize("times", [1.001, 1.5, 30])
def test_beyond_the_last_ring_counts_as_on_it(times):
    network = small().network
    last = on_circles(network.rings, np.arange(0, network.hues, 1 / 4), network)
    shares = encode(np.float32(times) * last, config=network)
    np.testing.assert_allclose(shares, encode(last, config=network), atol=1e-4)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)


@pytest.mark.req("NET-022")
def test_deviation_of_the_distribution():
    network = small().network
    centers = bins.bin_centers(network).astype(float)
    logits = np.random.default_rng(5).normal(0, 3, (4, len(centers))).astype(np.float32)
    logits[0, 7] = 80  # certain
    share = np.exp(logits.astype(float) - logits.max(-1, keepdims=True))
    share /= share.sum(-1, keepdims=True)
    away = ((centers - (share @ centers)[:, None]) ** 2).sum(-1)
    expected = np.sqrt((share * away).sum(-1))
    found = jax.jit(bins.deviation, static_argnums=1)(logits, network)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=0.01)
    assert expected.max() > 20


@pytest.mark.req("NET-022")
def test_decoding_is_the_mean_of_the_distribution():
    network = small().network
    count = 1 + network.rings * network.hues
    rng = np.random.default_rng(0)
    logits, tilt = (rng.normal(size=s).astype(np.float32) for s in ((2, 3, 3, count), count))
    ring, hue = np.divmod(np.arange(count - 1), network.hues)
    centers = np.concatenate([np.zeros((1, 2)), on_circles(ring + 1, hue, network)])
    weights = np.exp((logits.astype(float) + tilt) / 0.4)
    expected = weights @ centers / weights.sum(-1, keepdims=True)
    decoded = bins.decode(jnp.asarray(logits), network, temperature=0.4, tilt=jnp.asarray(tilt))
    np.testing.assert_allclose(decoded, expected, atol=1e-3)


@pytest.mark.req("NET-022")
@hypothesis.given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 1.0, 30.0, 1e30]))
def test_decoding(seed, scale):
    network = small().network
    centers = bins.bin_centers(network)
    logits = scale * jax.random.normal(jax.random.key(seed), (2, 2, len(centers)))
    chroma = bins.decode(logits, network)
    assert np.all(np.isfinite(chroma))
    if scale == 30:
        second, first = np.moveaxis(np.sort(logits, -1)[..., -2:], -1, 0)
        clear = first - second > 0.01
        cold = bins.decode(logits, network, temperature=1e-4)
        likeliest = centers[np.argmax(logits, -1)]
        np.testing.assert_allclose(cold[clear], likeliest[clear], atol=1e-2)
    sure = jnp.where(jnp.eye(len(centers)) > 0, 0.0, -1e9)
    np.testing.assert_allclose(bins.decode(sure, network), centers, atol=1e-3)


@pytest.mark.req("NET-024")
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (33, 47),
        *(pytest.param(shape, marks=pytest.mark.slow) for shape in [(7, 7), (32, 32), (1, 50)]),
    ],
)
def test_forward_keeps_the_gray(shape):
    conf = small()
    gray = grays(2, 2, *shape)
    params = drawn(conf)
    rgb = forward(params, gray, config=conf)
    assert rgb.shape == (2, *shape, 3)
    assert rgb.min() >= 0
    assert rgb.max() <= 255
    np.testing.assert_allclose(colorjax.rgb_to_gray(rgb), gray, atol=1e-3)


@pytest.mark.slow
@pytest.mark.req("NET-024")
def test_gradient_is_finite():
    conf = small()
    params = drawn(conf)
    for level in (0.0, 255.0):
        flat = jnp.full((1, 33, 47), level)
        truth = jnp.full((1, 33, 47, 3), 100.0)
        gradient = gradients(params, flat, truth, config=conf)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
@pytest.mark.req("NET-033")
def test_new_blocks_of_the_decoder_start_as_the_identity():
    shallow = small(**{"network.stages": 7}).network
    deep = dataclasses.replace(shallow, coarse_blocks=3, middle_blocks=2, fine_blocks=2)
    trained = jax.tree.map(lambda leaf: leaf + 0.1, photo.init_photo(jax.random.key(4), shallow))
    grown, kept = photo.init_photo(jax.random.key(5), deep), dict(leaves(trained))
    fresh = [name for name, leaf in leaves(grown) if name not in kept]
    assert {name.split(".")[0] for name in fresh} == {"up_16", "up_8", "up_4"}
    both = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: kept.get(".".join(key.key for key in keys), leaf), grown
    )
    assert jax.tree.map(np.shape, both) == jax.tree.map(np.shape, grown)
    gray = grays(4, 2, 32, 64)
    np.testing.assert_allclose(
        apply(both, gray, config=deep), apply(trained, gray, config=shallow), atol=1e-5
    )

    last = [
        name for name in fresh if name.endswith("kernel") and not np.any(dict(leaves(both))[name])
    ]
    assert len(last) == 4  # two more at stride 16, and one at 8 and at 4
    gradient = jax.grad(lambda params: jnp.square(apply(params, gray, config=deep)).sum())(both)
    assert all(np.abs(dict(leaves(gradient))[name]).max() > 0 for name in last)


@pytest.mark.req("NET-025")
def test_no_color_at_the_start():
    conf = small()
    params = colorjax.init_params(jax.random.key(3), conf)
    head = apply(params, grays(3, 1, 32, 32), config=conf.network)
    chroma = np.asarray(bins.decode(head, conf.network))
    assert np.ptp(chroma, axis=(0, 1, 2)).max() < 1e-3
    assert np.abs(chroma).max() <= 30
