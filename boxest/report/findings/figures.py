"""The figures of a page: each is shown once, with its caption."""

import os
from pathlib import Path
from urllib.parse import quote

from boxest.report import captions
from boxest.report.findings.study import Study


class Figures:
    """Figures of a page that lies in a directory.

    Parameters
    ----------
    directory : path-like
        The links start from there.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self.shown: set[Path] = set()

    def show(self, study: Study, name: str, caption: str = "") -> list[str]:
        """Return the lines of a figure with its caption, or a mention if it was shown before.

        There are no lines if the study has no such figure. `caption` is for a figure without one.
        """
        if name not in study.summary.get("figures", ()):
            return []
        path = study.root / "figures" / f"{name}.png"
        if path in self.shown:
            return [f"The figure is above: `{name}`.", ""]
        self.shown.add(path)
        link = Path(os.path.relpath(path, self.directory)).as_posix()
        # Folders of results may have blanks and other characters that end a link.
        link = quote(link, safe="/,=~+")
        caption = study.captions.get(name, caption)
        for settings in (captions.ALL, captions.THE_BEST):  # The text of the page has them.
            caption = caption.partition(f"\n{settings}")[0]
        caption = " ".join(caption.split())
        lines = [f"![{name}]({link})", ""]
        return [*lines, f"`{name}`: {caption}", ""] if caption else lines
