"""The examples in docstrings."""

import doctest
import importlib
import inspect

import jax
import numpy as np
import pytest
from test_api import MODULES

import colorjax

EXAMPLES = [
    (f"{module}:{example.name}", example)
    for module in MODULES
    if module != "colorjax.__main__" and not module.startswith("colorjax.web")
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module))
    if example.examples
]

SLOW = (".train_step", ".evaluate", ".colorize_gray", ".palette", ".colorize_variants")


@pytest.mark.req("API-012")
@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=name, marks=[pytest.mark.slow] * name.endswith(SLOW))
        for name, example in EXAMPLES
    ],
)
def test_example_prints_what_it_says(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example.globs = {"colorjax": colorjax, "jax": jax, "np": np}
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert results.failed == 0


@pytest.mark.req("API-012")
def test_public_functions_have_an_example():
    shown = {example.name for _, example in EXAMPLES}
    for name in colorjax.__all__:
        public = getattr(colorjax, name)
        if inspect.isfunction(public):
            assert f"{public.__module__}.{public.__name__}" in shown, name
