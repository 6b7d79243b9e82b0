"""The package as a whole: names, layers, imports, signatures, version."""

import ast
import graphlib
import importlib
import inspect
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from pictures import encoded, scene

import colorjax

ROOT = pathlib.Path(colorjax.__file__).parent
MODULES = sorted(
    ".".join(("colorjax", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
)
FLOORS = [  # each sub-package, or module beside them, imports from floors above its own line only
    {"errors", "jsontext", "locks"},
    {"config", "color"},
    {"networks"},
    {"photos"},
    {"weights"},
    {"inference"},
    {"evaluation"},
    {"data"},
    {"training", "export", "jobs"},
    {"web"},
    {"cli"},
    {"__main__"},
]
OWNERS = {"PIL": "photos", "tifffile": "photos", "orbax": "training"}


PURE = (  # array code: no files, no processes, nothing that imports them
    "color",
    "networks",
    "data.augment",
    "training.losses",
    "training.optimizer",
    "training.step",
    "inference.pipeline",
    "inference.tiles",
    "inference.resampling",
    "inference.hints",
    "inference.following",
    "inference.blending",
    "evaluation.metrics",
)
FILES = {
    "io",
    "os",
    "pathlib",
    "shutil",
    "subprocess",
    "tempfile",
    "socket",
    "safetensors",
    *OWNERS,
}


def floor(module):
    return next(i for i, names in enumerate(FLOORS) if module.split(".")[0] in names)


def imports(module):
    """Yield the modules that a module imports, anywhere in it."""
    path = ROOT.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def public_functions():
    for module in MODULES:
        if module != "colorjax.__main__":
            for name, function in inspect.getmembers(
                importlib.import_module(module), inspect.isfunction
            ):
                if function.__module__ == module and not name.startswith("_"):
                    yield f"{module}.{name}", inspect.signature(function)


@pytest.mark.req("API-001")
def test_public_names_are_the_contract():
    assert colorjax.__all__ == sorted(colorjax.__all__)
    assert set(colorjax.__all__) >= {
        "Config",
        "Hints",
        "apply_chroma",
        "ciede2000",
        "color",
        "colorize",
        "colorize_variants",
        "evaluate",
        "export",
        "fit_config",
        "fit_gamut",
        "forward",
        "init_params",
        "init_state",
        "lab_to_rgb",
        "load_weights",
        "loss",
        "luma_chroma_to_rgb",
        "make_optimizer",
        "metrics",
        "palette",
        "preset",
        "rgb_to_gray",
        "rgb_to_lab",
        "rgb_to_luma_chroma",
        "save_weights",
        "train_step",
    }
    for name in colorjax.__all__:
        assert getattr(colorjax, name).__doc__
    with pytest.raises(AttributeError):
        _ = colorjax.no_such_name


@pytest.mark.req("API-002")
@pytest.mark.parametrize("module", [m for m in MODULES if m != "colorjax"])
def test_modules_import_from_subpackages_below(module):
    name = module.removeprefix("colorjax.")
    package = name.split(".")[0]
    for imported in imports(module):
        if imported.startswith("colorjax."):
            below = imported.removeprefix("colorjax.")
            within = below.split(".")[0] == package
            assert within or floor(below) < floor(name), f"{name} → {below}"
        owner = OWNERS.get(imported.split(".")[0])
        assert owner is None or package == owner, f"{name} → {imported}"


@pytest.mark.req("API-002")
def test_no_import_runs_in_a_circle():
    doors = {m for m in MODULES if m.count(".") == 1}  # a door names what is behind it
    graph = {m: {i for i in imports(m) if i in MODULES} - doors for m in MODULES if m not in doors}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.req("API-011")
@pytest.mark.parametrize("start", PURE)
def test_pure_modules_reach_no_files(start):
    reached, ahead = set(), [m for m in MODULES if f"{m}.".startswith(f"colorjax.{start}.")]
    assert ahead
    while ahead:
        module = ahead.pop()
        reached.add(module)
        for imported in imports(module):
            assert imported.split(".")[0] not in FILES, f"{module} → {imported}"
            if imported in MODULES and imported not in reached:
                ahead.append(imported)


@pytest.mark.req("API-003")
def test_import_is_light():
    heavy = "jax PIL matplotlib orbax skimage optax rich tifffile grain"
    code = f"import colorjax, sys; print([m for m in '{heavy}'.split() if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    pure = (
        "import colorjax, sys; colorjax.rgb_to_gray, colorjax.forward, colorjax.loss, colorjax.preset;"
        f"print([m for m in '{heavy}'.split() if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", pure], text=True).strip() == "['jax']"


@pytest.mark.req("API-004")
def test_signatures_follow_one_grammar():
    for name, signature in public_functions():
        positional = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert "key" not in [p.name for p in positional[1:]], name
        assert not [p.name for p in positional if p.annotation is bool], name
        assert not [p.name for p in signature.parameters.values() if p.annotation is p.empty], name


@pytest.mark.req("API-005")
def test_versions_agree(capsys):
    from colorjax import cli

    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.split()[:2] == ["colorjax", colorjax.__version__]
    assert importlib.metadata.version("colorjax") == colorjax.__version__


@pytest.mark.req("API-014")
@pytest.mark.skipif(sys.platform != "linux", reason="wheels differ")
def test_a_plain_installation_is_small():
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    names, weights = list(project["dependencies"]), {}
    while names:
        requirement = Requirement(names.pop())
        marker = requirement.marker
        if requirement.name in weights or (marker and not marker.evaluate({"extra": ""})):
            continue
        distribution = importlib.metadata.distribution(requirement.name)
        files = [file.locate() for file in distribution.files or () if file.suffix != ".pyc"]
        weights[requirement.name] = sum(file.stat().st_size for file in files if file.is_file())
        names += distribution.requires or ()
    own = [path for path in ROOT.rglob("*") if path.suffix != ".pyc" and path.is_file()]
    total = sum(weights.values()) + sum(path.stat().st_size for path in own)
    assert {"jax", "jaxlib", "scipy", "pygments"} <= set(weights)
    assert min(weights["jaxlib"], weights["scipy"]) > 1e7
    assert total < 600e6
    stated = re.search(r"(\d+) MB", (ROOT.parent / "README.md").read_text())
    assert stated
    assert abs(total / 1e6 - int(stated[1])) < 20


@pytest.mark.slow
@pytest.mark.req("API-006")
def test_wheel_works_in_an_empty_environment(tmp_path):
    run = lambda *command: subprocess.run(command, check=True, cwd=tmp_path)  # noqa: E731
    run(sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT.parent))
    run(sys.executable, "-m", "venv", "empty")
    python = str(tmp_path / "empty" / "bin" / "python")
    (wheel,) = tmp_path.glob("*.whl")
    install = (python, "-m", "pip", "install", "--quiet")
    run(*install, str(wheel))
    plain = [python, "-m", "colorjax"]
    (tmp_path / "old.png").write_bytes(encoded(scene(24, 32)[..., 1], "PNG"))
    run(*plain, "old.png")
    for refused in (["train", "old.png", "--out", "run"], ["evaluate", "old.png"]):
        said = subprocess.run([*plain, *refused], cwd=tmp_path, capture_output=True, text=True)
        assert said.returncode == 2
        assert "colorjax[train]" in said.stderr
        assert len(said.stderr.splitlines()) == 1
    run(*install, f"{wheel}[train]")
    command = [python, "-m", "colorjax"]
    alone = ["unshare", "--map-root-user", "--net"]  # no network from here on, where Linux lets us
    if shutil.which(alone[0]) and not subprocess.run([*alone, "true"]).returncode:
        command = [*alone, *command]
    tiny = ["--preset", "seed-relu", "--steps", "20", "--size", "8"]
    run(*command, "train", "samples", *tiny, "--out", "run")
    for number, weights in enumerate(
        ("run/weights.safetensors", "photo", "photo-small", "photo-free")
    ):
        run(*command, "colorize", "samples", "--weights", weights, "--out", f"out-{number}")
        assert len(list((tmp_path / f"out-{number}").iterdir())) == 6
    installed = tmp_path / "empty" / "lib"
    assert list(installed.rglob("colorjax/py.typed"))
    assert len(list(installed.rglob("colorjax/**/*.py"))) >= len(MODULES)
