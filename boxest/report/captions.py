"""Captions of figures and tables, filled in from the study."""

from collections.abc import Mapping
from typing import Any

import jinja2

from boxest.analysis.text import number, plain, plural
from boxest.study import data, outputs, run_table

# The beginnings of the last line of a caption, which lists settings.
ALL, THE_BEST = "All runs:", "The best parametrization:"
_KEPT = {False: "the last epoch", True: "the best epoch, whose weights were restored"}


def fill_in(template: str, summary: Mapping[str, Any], name: str = "") -> str:
    """Fill in the caption of a figure.

    Parameters
    ----------
    template : str
        Jinja; ``numbers`` are those of the summary, ``config`` is the configuration, ``settings``
        those of all runs (None where they differ), ``kept`` the epoch whose network a run keeps,
        ``first`` and ``data`` are the settings and the images of the run that Fig. 1 and 2 show,
        ``scene`` describes what makes these images harder, or is "clean", ``drawn`` says whether
        they are drawn, ``papers`` whether the settings are the paper's, ``trained`` the loss,
        ``rows`` and ``columns`` the axes of panels; the filters ``g`` and ``plural`` write a number
        with three digits, and with a noun.
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
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=False, finalize=plain
    )
    environment.filters |= {"g": number, "plural": plural}
    config = summary["config"]
    page = name.partition(",")[2].replace("~", " ").replace(",", ", ")
    rows, columns = outputs.rows_and_columns(config)
    first, (_, settings) = run_table.shown(config), outputs.common(config)
    images = data.of(config, first.condition)
    varied = {name for name, value in settings.items() if isinstance(value, tuple)}
    values = {
        "numbers": summary["numbers"],
        "config": config,
        "data": images,
        "scene": str(data.scene(images)),
        "first": first.settings,
        "settings": {name: None if name in varied else settings[name] for name in settings},
        "kept": _KEPT.get(settings["restore_best_weights"], "the last or, if restored, best epoch"),
        "drawn": config["data"]["source"] == "synthetic",
        "papers": summary["verdicts"],
        "trained": "each run's own" if "loss" in varied else settings["loss"],
        "rows": rows.replace("_", " "),
        "columns": columns.replace("_", " "),
    }
    try:
        text = environment.from_string(template).render(values).rstrip()
    except jinja2.UndefinedError as error:
        raise ValueError(f"The caption {template!r} cannot be filled in: {error}.") from None
    return "\n".join(
        [text, *([f"This page: {plain(page)}."] if page else []), _settings(config, name), ""]
    )


def _settings(config: Mapping[str, Any], name: str) -> str:
    """Describe what the runs behind a figure or table share."""
    about, settings = ALL, outputs.shared_settings(config)
    if name in outputs.SHOWS_THE_BEST and config["best"]:
        about, settings = THE_BEST, outputs.in_words(run_table.best_cells(config)[0])
    return f"{about} {', '.join(f'{key} {plain(value)}' for key, value in settings.items())}."
