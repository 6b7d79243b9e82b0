"""The site that `scripts/docs` builds from spec/."""

import os
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import colorjax

ROOT = pathlib.Path(__file__).parent.parent
SPEC = ROOT / "spec"
PAGES = sorted(SPEC.rglob("*.md"))


@pytest.mark.req("API-013")
def test_every_page_is_in_a_table_of_contents():
    listed = {SPEC / "guide" / "index.md"}
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.S):
            names = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    assert listed == set(PAGES)


@pytest.mark.req("API-013")
def test_links_lead_to_files():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]:
        for link in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page}: {link}"


@pytest.mark.req("API-013")
def test_reference_names_public_functions_and_subpackages():
    reference = "".join(path.read_text() for path in (SPEC / "guide" / "api").glob("*.md"))
    for name in colorjax.__all__:
        if name not in ("color",):
            assert f"`{name}`" in reference, name
    packages = {path.parent.name for path in (ROOT / "colorjax").glob("*/__init__.py")}
    for package in packages - {"cli", "web", "pretrained"}:
        assert f"colorjax.{package}" in reference, package


@pytest.mark.req("API-013")
def test_notebooks_hold_no_outputs_and_hosts_build_the_same():
    assert not list(SPEC.rglob("*.ipynb"))
    hosted = (ROOT / ".readthedocs.yaml").read_text()
    for text in (hosted, (ROOT / "scripts" / "docs").read_text()):
        assert "-m sphinx -b html -W" in text
        assert "-c spec/guide" in text
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras["optional-dependencies"]["docs"]


@pytest.mark.slow
@pytest.mark.req("API-013")
def test_site_builds_without_warnings():
    pytest.importorskip("myst_nb")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"]
    cache = {"JAX_PLATFORMS": "cpu", "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax")}
    found = subprocess.run(
        [*command, "-c", "spec/guide", "spec", "build/docs"],
        cwd=ROOT,
        env=os.environ | cache,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    look = (ROOT / "build" / "docs" / "guide" / "notebooks" / "look-inside.html").read_text()
    assert "<img" in look
    reference = (ROOT / "build" / "docs" / "guide" / "api" / "color.html").read_text()
    assert "*pixels" in reference
