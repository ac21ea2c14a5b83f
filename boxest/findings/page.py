"""The page of findings: Markdown from tables, every number computed."""

import os

from boxest import plan
from boxest.findings import architectures, grid, rates, time, variants, verdicts
from boxest.findings.images import Figures
from boxest.findings.study import Study
from boxest.findings.text import spread, table


def page(study: Study, directory: str | os.PathLike) -> str:
    """Return the findings of a study as Markdown.

    Parameters
    ----------
    study : Study
        With its summary.
    directory : path-like
        Where the page will lie; its figures are linked from there.

    Returns
    -------
    str
        The same text for the same tables.
    """
    figures = Figures(directory)
    lines = ["# Findings", "", *_label(study), *_study(study)]
    lines += verdicts.section(study, figures)
    lines += grid.comparison(study, figures)
    lines += variants.section(study, figures)
    lines += grid.scaling(study, figures)
    lines += time.time(study, figures)
    lines += time.cost(study, figures)
    lines += rates.section(study, figures)
    lines += _best(study)
    lines += architectures.section(study, figures)
    lines += architectures.harder(study, figures)
    return "\n".join(lines).rstrip() + "\n"


def _label(study: Study) -> list[str]:
    """Say that the page is made, and that a study is not the whole one."""
    lines = ["Made from the tables of the study by the rule `findings` of the workflow.", ""]
    differences = plan.differences(study.summary["config"])
    if differences:
        lines += [f"**This is not the paper's study run whole** ({differences}).", ""]
    return lines


def _study(study: Study) -> list[str]:
    """Say what was run, and what the two losses are."""
    config, n = study.summary["config"], study.summary["numbers"]
    grid_, data = config["grid"], config["data"]
    return [
        f"{n['runs']} runs: batch sizes {_list(grid_['batch_size'])}, learning rates "
        f"{_list(grid_['learning_rate'])}, {grid_['seeds']} seeds each, at most "
        f"{config['training']['epochs']} epochs on {data['images']:,} images of "
        f"{data['image_size']} px. {n['stopped_early']} runs stopped early, {n['diverged']} "
        f"diverged. Beside them, the best parametrization (§5.1) with {len(study['best'])} seeds.",
        "",
        "Every loss is one minus a measure of two boxes. The *inclusive IoU*, with sides "
        "x2 − x1 + 1 on coordinates in 0..1, is what the paper most likely trained on and printed; "
        "the *geometric IoU* is the area that two boxes share by the area that they cover. A "
        "column has one or the other.",
        "",
    ]


def _best(study: Study) -> list[str]:
    """Give the test loss of the best parametrization, by both losses."""
    best = study["best"]
    kept = best[~best["diverged"]]
    rows = [
        (
            name,
            *(
                spread(kept[f"{part}_{loss}"].mean(), kept[f"{part}_{loss}"].std(ddof=1))
                for loss in ("inclusive_iou_loss", "iou_loss")
            ),
        )
        for name, part in (("validation set", "validation"), ("test set", "test"))
    ]
    inclusive, geometric = kept["test_inclusive_iou_loss"].mean(), kept["test_iou_loss"].mean()
    return [
        "## The best parametrization",
        "",
        f"Batch size {best['batch_size'].iloc[0]}, rate {best['learning_rate'].iloc[0]:g}, reduced "
        f"on a plateau (§5.1); {len(kept)} of {len(best)} seeds did not diverge. Mean ± standard "
        f"deviation over the seeds; the paper has {best['paper_test_loss'].iloc[0]:g} on its test "
        "set.",
        "",
        *table(["", "1 − inclusive IoU", "1 − IoU"], rows),
        f"The same boxes: an inclusive loss of {inclusive:.3f} is a geometric one of "
        f"{geometric:.3f}, so that predicted and true box share {1 - geometric:.0%} of the area "
        "that they cover together, on average.",
        "",
    ]


def _list(values: list) -> str:
    return ", ".join(f"{value:g}" for value in values)
