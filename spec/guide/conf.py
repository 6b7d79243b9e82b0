"""Sphinx configuration of the site; `scripts/docs` builds it from spec/ with warnings as errors."""

import ast
import inspect
import textwrap

import colorjax

project = "colorjax"
author = copyright = "The colorjax maintainers"
version = release = colorjax.__version__

root_doc = "guide/index"
exclude_patterns = ["vectors"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx.ext.intersphinx",
]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # requirements are ### headings, whatever stands above them

nb_execution_mode = "cache"
nb_execution_timeout = 900  # a busy machine is slow
nb_execution_raise_on_error = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": False}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Gradient", "notes_style"), ("References", "notes_style")]
napoleon_use_rtype = False
napoleon_use_ivar = True
intersphinx_mapping: dict = {}  # a build needs no network

html_theme = "sphinx_book_theme"
html_title = "colorjax"
html_theme_options = {
    "show_navbar_depth": 1,
    "home_page_in_toc": True,
    "use_download_button": False,
}
html_static_path: list[str] = []


def source_signature(app, what, name, thing, options, signature, returns):
    """Show a function's annotations as they are written: array shapes instead of resolved types."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(thing))))
    except (OSError, TypeError, SyntaxError):
        return None
    node = tree.body[0]
    if isinstance(node, ast.ClassDef):
        return None
    if not isinstance(node, ast.FunctionDef):
        return None
    if node.args.args and node.args.args[0].arg in ("self", "cls"):
        del node.args.args[0]
    return f"({ast.unparse(node.args)})", ast.unparse(node.returns) if node.returns else None


def markdown_quotes(app, what, name, thing, options, lines):
    """Turn the Markdown of docstrings into reStructuredText: `name` becomes ``name``, and |x| stays |x|."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith(">>>"):
            pieces = line.split("`")
            pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
            lines[i] = "``".join(pieces)


def skip_fields(app, what, name, thing, skip, options):
    """Leave out the fields of named tuples, which the class describes."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def setup(app):
    """Register the handlers."""
    app.connect("autodoc-process-signature", source_signature)
    app.connect("autodoc-process-docstring", markdown_quotes, priority=100)
    app.connect("autodoc-skip-member", skip_fields)
