"""Self-contained pages for a browser, with sortable tables and figures that can be enlarged."""

import base64
import html
import io
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
from PIL import Image

from boxest.analysis.text import number
from boxest.study import data, outputs, run_table


def document(markdown: str, directory: str | os.PathLike) -> str:
    """Return a page with the text, sortable tables and embedded figures.

    Parameters
    ----------
    markdown : str
        With a title, ``# …``, in its first line.
    directory : path-like
        The folder to which links to figures (PNG) are relative.

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
        image = _small_png(Path(directory) / html.unescape(link[1]))
        return f'src="data:image/png;base64,{base64.b64encode(image).decode()}"'

    return _page(title, re.sub(r'src="([^"]+\.png)"', embedded, body))


def _small_png(path: Path) -> bytes:
    """Return a figure with 256 colours, a third of its bytes.

    Snakemake's report cannot display a page above 2 MB, because browsers limit the length of the
    addresses that it uses.
    """
    content = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(
            content, "png", optimize=True
        )
    return content.getvalue()


def table(title: str, frame: pd.DataFrame) -> str:
    """Return a page with a table, which sorts by the clicked column.

    Parameters
    ----------
    title : str
        Name of the table.
    frame : pandas.DataFrame
        Numbers are shown with four digits, missing ones as empty cells.

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


def caption(template: str, summary: Mapping[str, Any], name: str = "") -> str:
    """Fill in the caption of a figure.

    Parameters
    ----------
    template : str
        Jinja; ``numbers`` are those of the summary, ``config`` is the configuration, ``scene``
        describes what makes the images harder, or is "clean", ``drawn`` says whether they are
        drawn, ``papers`` whether the settings are the paper's, ``trained`` the loss, ``rows`` and
        ``columns`` the axes of panels; the filter ``g`` writes a number with three digits.
    summary : mapping
        ``config`` and ``numbers`` (from `boxest.report.findings.numbers`).
    name : str
        The name of the figure; the part after a comma is its page.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the template uses an unknown name.
    """
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    environment.filters["g"] = number
    config = summary["config"]
    page = name.partition(",")[2].replace("~", " ").replace(",", ", ")
    rows, columns = outputs.rows_and_columns(config)
    values = {
        "numbers": summary["numbers"],
        "config": config,
        "scene": str(data.scene(config["data"])),
        "drawn": config["data"]["source"] == "synthetic",
        "papers": summary["verdicts"],
        "trained": "of each run"
        if "loss" in run_table.axes(config)
        else config["settings"]["loss"],
        "rows": rows.replace("_", " "),
        "columns": columns.replace("_", " "),
    }
    try:
        text = environment.from_string(template).render(values).rstrip()
    except jinja2.UndefinedError as error:
        raise ValueError(f"The caption {template!r} cannot be filled in: {error}.") from None
    return "\n".join([text, *([f"This page: {page}."] if page else []), _settings(config), ""])


def _settings(config: Mapping[str, Any]) -> str:
    """Describe what all runs of a study share."""
    shared = outputs.shared_settings(config)
    return f"All runs: {', '.join(f'{name} {value}' for name, value in shared.items())}."


def _page(title: str, body: str) -> str:
    text = (resources.files("boxest.report") / "pages.html").read_text("utf-8")
    return Template(text).substitute(title=html.escape(title), body=body)
