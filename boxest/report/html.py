"""Self-contained pages for a browser, with sortable tables and figures that can be enlarged."""

import base64
import html
import io
import os
import re
from importlib import resources
from pathlib import Path
from string import Template
from urllib.parse import unquote

import pandas as pd
from markdown_it import MarkdownIt
from PIL import Image


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
        image = _small_png(Path(directory) / unquote(html.unescape(link[1])))
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
    rows = "1 row" if len(frame) == 1 else f"{len(frame):,} rows"
    heading = f"<h1>{html.escape(title)}</h1>\n<p>{rows}; a click on a head sorts.</p>"
    return _page(title, f'{heading}\n<div class="data">{shown}</div>')


def _page(title: str, body: str) -> str:
    text = (resources.files("boxest.report") / "page.html").read_text("utf-8")
    return Template(text).substitute(title=html.escape(title), body=body)
