"""The documentation site: ``uv run --group docs sphinx-build -W docs OUTPUT``."""

from importlib import metadata

from pygments.lexers.sql import PostgresLexer
from sphinx.application import Sphinx

project = "windsock"
author = "the windsock contributors"
release = metadata.version("windsock")
version = release

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
default_role = "literal"  # `name` in a docstring
nitpicky = False  # docstrings name types of libraries that are not indexed here

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "groupwise"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_preserve_defaults = True

html_theme = "furo"
pygments_dark_style = "github-dark"  # the theme's own underlines each module and class
html_title = f"windsock {release}"
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["_static"]
html_css_files = ["windsock.css"]


def setup(app: Sphinx) -> None:
    """Read blocks of SQL as PostgreSQL's, which has dollar quotes."""
    app.add_lexer("sql", PostgresLexer)
