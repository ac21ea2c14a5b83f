"""The documentation as a site: `make docs` builds it, with this configuration of Sphinx.

The source directory is the root of the repository, so that a link from one page to another is the
same on the site and in the repository.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# TensorFlow's remarks on the machine are none on the pages.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pages

import boxest

project = "boxest"
author = "the boxest developers"
version = release = boxest.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "docs/README"
include_patterns = [
    "docs/**",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "config/README.md",
    "benchmarks/README.md",
    "results/reference/README.md",
]
exclude_patterns = ["build", "docs/site", "**/.*", ".*"]

# Headings are the targets of links, as where Markdown is displayed with the source.
myst_heading_anchors = 4
# The notebooks hold their output; the tests run them.
nb_execution_mode = "off"
# `name` in a docstring is a link where there is such an object.
smartquotes = False  # They would change quotes around values.
default_role = "py:obj"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False
suppress_warnings = ["ref.python"]  # A name in a docstring that several objects have.

html_theme = "furo"
html_title = f"boxest {version}"
html_additional_pages = {"index": "index.html"}
templates_path = ["templates"]
html_show_sphinx = html_show_copyright = html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"


def setup(app):
    """Have Sphinx write the reference before it reads pages, and list the links that lead out."""
    app.connect("builder-inited", lambda app: pages.write_reference(Path(app.srcdir)))
    app.connect("source-read", pages.add_contents)
    app.connect("doctree-resolved", pages.collect_links)
    app.connect("build-finished", pages.write_links)
    app.connect("build-finished", pages.write_explorer)
