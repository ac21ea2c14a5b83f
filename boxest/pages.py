"""Pages for a browser, each in one file: tables that sort, figures that enlarge, no network."""

import base64
import html
import os
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import jinja2
import pandas as pd
from markdown_it import MarkdownIt

from boxest import plan
from boxest.findings.text import number


def document(markdown: str, directory: str | os.PathLike) -> str:
    """Return a page with the text, its tables sortable and its figures inside.

    Parameters
    ----------
    markdown : str
        With a title, ``# …``, in its first line.
    directory : path-like
        What the links to figures (PNG) start from.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    OSError
        If a figure is missing.
    """
    title = markdown.splitlines()[0].lstrip("# ")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)

    def embedded(link: re.Match) -> str:
        image = base64.b64encode((Path(directory) / html.unescape(link[1])).read_bytes()).decode()
        return f'src="data:image/png;base64,{image}"'

    return _page(title, re.sub(r'src="([^"]+\.png)"', embedded, body))


def table(title: str, frame: pd.DataFrame) -> str:
    """Return a page with a table, which sorts by the column that is clicked.

    Parameters
    ----------
    title : str
        Name of the table.
    frame : pandas.DataFrame
        Numbers are shown with four digits, missing ones as nothing.

    Returns
    -------
    str
        HTML.
    """
    shown = frame.to_html(
        index=False, border=0, na_rep="", float_format=lambda value: f"{value:.4g}"
    )
    heading = f"<h1>{html.escape(title)}</h1>\n<p>{len(frame):,} rows; a click on a head sorts.</p>"
    return _page(title, f'{heading}\n<div class="data">{shown}</div>')


def caption(template: str, summary: Mapping[str, Any]) -> str:
    """Fill in the caption of a figure.

    Parameters
    ----------
    template : str
        Jinja; ``numbers`` are those of the summary, ``snakemake.config`` is the configuration,
        ``scene`` what makes its images harder, in words, or "clean", and the filter ``g`` writes a
        number with three digits.
    summary : mapping
        ``config`` and ``numbers`` (from `boxest.findings.numbers`).

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the template names what is not there.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["g"] = number
    config = summary["config"]
    values = {"numbers": summary["numbers"], "snakemake": {"config": config}}
    values["scene"] = str(plan.scene(config.get("data", {})))
    try:
        return environment.from_string(template).render(values)
    except jinja2.UndefinedError as error:
        raise ValueError(f"The caption {template!r} cannot be filled in: {error}.") from None


def _page(title: str, body: str) -> str:
    text = (resources.files("boxest") / "data" / "page.html").read_text("utf-8")
    return Template(text).substitute(title=html.escape(title), body=body)
