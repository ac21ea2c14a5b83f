"""The grid: ours beside the paper's, and how far learning rate × updates carries."""

import numpy as np
import pandas as pd

from boxest.analysis.cells import APART, PAPER_RUNS, in_the_papers_grid, root_mean_square
from boxest.analysis.claims import CONFIDENCE
from boxest.analysis.columns import CELL
from boxest.analysis.text import names, number, percent, plural, spread, table
from boxest.report.findings.figures import Figures
from boxest.report.findings.study import Study

LOSS = "validation_inclusive_iou_loss"
# A cell farther from the curve breaks the rule.
FAR = 1.25


def comparison(study: Study, figures: Figures) -> list[str]:
    """Return our Fig. 8 beside the paper's, and the cells that the paper leaves out."""
    both = study["comparison"].merge(study["fig8"][[*CELL, "reached_last_epoch"]], on=CELL)
    distances = study["distances"]
    far = both.loc[both[f"{LOSS}_log_ratio"].abs().idxmax()] if distances["cells"].iloc[0] else None
    lines = [
        "## Ours beside the paper's Fig. 8",
        "",
        "The root mean square of ln(ours / paper's) over the cells that both have: 0.1 is "
        "typically 10 % apart. A mean at the last epoch can be taken over all runs, those that "
        "stopped early with their own last epoch (as elsewhere on this page), or only over those "
        "that came so far. The last three columns are of the validation loss: the geometric "
        "mean of ours / paper's, in how many cells ours is larger, and how many differ by more "
        f"than {APART} standard errors of the difference (SE), if the paper's {PAPER_RUNS} runs "
        "scatter as ours do:",
        "",
        *table(
            ["mean over", "cells", "training", "validation", "ratio", "above", f"> {APART} SE"],
            [
                (
                    row.reading,
                    row.cells,
                    number(row.train),
                    number(row.validation),
                    number(np.exp(row.mean_log_ratio)),
                    row.above,
                    row.apart,
                )
                for row in distances.itertuples()
            ],
        ),
        systematic(study),
        "",
    ]
    if far is not None:
        lines += [
            f"The cell farthest off is batch size {far['batch_size']:.0f} at rate "
            f"{far['learning_rate']:g}: {far[LOSS]:.3f}, in the paper {far[f'paper_{LOSS}']:.3f}.",
            "",
        ]
    lines += _cells(both)
    lines += figures.show(study, "comparison")
    return lines + _left_out(both) + _patience(study)


def systematic(study: Study) -> str:
    """Say whether ours differ from the paper's by more than scatter, without the largest rate."""
    row = study["distances"].iloc[-1]
    rates = row["reading"].rpartition(", ")[2].capitalize()
    if not row["cells"]:
        return f"{rates}: there is no cell of which both have a loss."
    larger = row["mean_log_ratio"] > 0
    count = row["above"] if larger else row["cells"] - row["above"]
    side = "above" if larger else "below"
    by = percent(row["mean_log_ratio"]).lstrip("+−")
    text = (
        f"{rates}: ours lie {side} the paper's in {count} of {plural(row['cells'], 'cell')}, by "
        f"{by} on average"
    )
    if np.isnan(row["p_value"]):
        return f"{text}; whether that is more than scatter, runs of one seed do not say."
    kind = "a" if row["p_value"] < 1 - CONFIDENCE else "no"
    return (
        f"{text}, and {row['apart']} {'differs' if row['apart'] == 1 else 'differ'} by more than "
        f"{APART} standard errors: {kind} systematic difference (t test over seeds, p = "
        f"{number(row['p_value'], 2)})."
    )


def _cells(both: pd.DataFrame) -> list[str]:
    heads = ["batch size", "rate", "1 − inclusive IoU, ours", "paper", "apart (SE)"]
    heads += ["1 − IoU, ours", "stopped early", "diverged", "reached the last epoch"]
    rows = [
        (
            row["batch_size"],
            f"{row['learning_rate']:g}",
            spread(row[LOSS], row[f"{LOSS}_sd"]),
            spread(row[f"paper_{LOSS}"], np.nan),
            number(row[f"{LOSS}_difference_in_se"], 2),
            spread(row["validation_iou_loss"], np.nan),
            *(row[name] for name in ("stopped_early", "diverged", "reached_last_epoch")),
        )
        for row in both.to_dict("records")
    ]
    return ["Validation losses of the last epoch:", "", *table(heads, rows, left=0)]


def _left_out(both: pd.DataFrame) -> list[str]:
    """Say of the cells that the paper leaves out what our runs did there, and whether that is why.

    A mean at the last epoch needs a run that comes so far. What the paper never tried, such as a
    rate of 1, it did not leave out.
    """
    missing = both[both[f"paper_{LOSS}"].isna() & in_the_papers_grid(both)]
    if missing.empty:
        return []
    lines = ["The paper leaves out these cells. Our runs there:", ""]
    for row in missing.to_dict("records"):
        runs, reached = row["runs"], row["reached_last_epoch"]
        fate = f"{row['stopped_early']} of {runs} stopped early, {row['diverged']} diverged"
        end = f"{reached} came to the last epoch" if reached else "no run came to the last epoch"
        lines.append(
            f"- batch size {row['batch_size']}, rate {row['learning_rate']:g}: {fate}; {end}."
        )
    present = both[both[f"paper_{LOSS}"].notna()]
    against = {
        "runs came to the last epoch where the paper has no mean": missing[
            missing["reached_last_epoch"] > 0
        ],
        "none came so far where the paper has one": present[present["reached_last_epoch"] == 0],
    }
    found = [f"{what}, at {names(table_)}" for what, table_ in against.items() if len(table_)]
    if found:
        reason = "Early stopping with our patience is not why these cells are missing: "
        return [*lines, "", f"{reason}{'; '.join(found)}.", ""]
    reason = "Early stopping with our patience would leave out just these cells, and may be why."
    return [*lines, "", reason, ""]


def _patience(study: Study) -> list[str]:
    """Say which patience of early stopping leaves out the cells that the paper leaves out."""
    patience = study["patience"]
    patience = patience[in_the_papers_grid(patience)]
    if patience["in_paper"].all():
        return []
    rows, alike = [], []
    for epochs, cells in patience.groupby("patience"):
        mean = cells["reached"] > 0
        there, absent = cells["in_paper"], ~cells["in_paper"]
        alike += [f"{epochs}"] if (mean == there).all() else []
        rows.append(
            (
                epochs,
                f"{(mean & there).sum()} of {there.sum()}",
                f"{(~mean & absent).sum()} of {absent.sum()}",
                names(cells[mean != there]),
            )
        )
    return [
        "The paper gives no patience. The histories show which runs a smaller one would have "
        "stopped, and so which cells would have a mean at the last epoch, as in Fig. 8:",
        "",
        *table(
            ["patience", "cells in Fig. 8 with one", "cells left out, without one", "exceptions"],
            rows,
        ),
        f"With the patience {' or '.join(alike)}, exactly the cells of Fig. 8 have one."
        if alike
        else "With none of these do exactly the cells of Fig. 8 have one: in our runs, no patience "
        "explains which cells are missing.",
        "",
    ]


def scaling(study: Study, figures: Figures) -> list[str]:
    """Return how far each cell lies from the curve of loss over rate × updates."""
    residuals = study["scaling_residuals"]
    rows = []
    for rate, cells in residuals.groupby("learning_rate"):
        known = cells.dropna(subset="residual")
        far = known.loc[known["residual"].abs().idxmax()] if len(known) else None
        rows.append(
            (
                f"{rate:g}" + ("" if cells["fitted"].all() else " (not fitted)"),
                f"{len(known)} of {len(cells)}",
                percent(known["residual"].mean()) if len(known) else "–",
                percent(root_mean_square(known["residual"])).lstrip("+") if len(known) else "–",
                "–"
                if far is None
                else f"{percent(far['residual'])} at batch size {far['batch_size']:.0f}",
                ", ".join(str(size) for size in known.loc[known["extrapolated"], "batch_size"]),
            )
        )
    heads = ["rate", "cells", "mean", "root mean square", "farthest", "extrapolated at batch size"]
    return [
        "## How far learning rate × updates carries",
        "",
        *_curve(study),
        "By rate, how far the cells lie above the curve: the mean and the root mean square of "
        "ln(loss / curve), written as percentages, and the one that is farthest off. A "
        "cell whose product is beyond those that were fitted is compared with a curve that is "
        "extrapolated:",
        "",
        *table(heads, rows),
        f"{_broken(residuals)} {carries(study)}".rstrip(),
        "",
        *figures.show(study, "loss_against_updates"),
        *figures.show(study, "scaling_residuals"),
    ]


def _curve(study: Study) -> list[str]:
    """Say what the curve was fitted to, and how well."""
    fit = study["scaling_fit"].set_index("loss").loc[LOSS]
    known = study["scaling_residuals"].dropna(subset="residual")
    which = "all runs"
    if np.isfinite(fit["below"]):
        which = f"the runs with rates below {fit['below']:g}"
    text = (
        "If the product of rate and number of updates alone decided the loss, as the linear "
        "scaling rule has it, all runs would lie on one curve, a polynomial between the logarithms "
        f"of the product and of 1 − inclusive IoU. It is fitted to {which}."
    )
    if np.isfinite([fit["residual"], fit["within_cells"]]).all():
        text += (
            f" They spread {number(100 * fit['residual'], 2)} % about the curve, and "
            f"{number(100 * fit['within_cells'], 2)} % about the mean of their cell."
        )
    for chosen, which in ((known["fitted"], ""), (~known["fitted"], " that were not fitted")):
        if chosen.any():
            low, high = known.loc[chosen, "residual"].agg(["min", "max"])
            count = plural(int(chosen.sum()), "cell")
            text += f" Of {count}{which}, the losses are {percent(low)} to {percent(high)} off it."
    return [text, ""]


def _broken(residuals: pd.DataFrame) -> str:
    """Name the cells that are far from the curve."""
    broken = residuals[residuals["residual"].abs() > np.log(FAR)]
    if residuals["residual"].isna().all():
        return ""
    if broken.empty:
        return f"No cell is off by more than a factor of {FAR}."
    text = f"Off by more than a factor of {FAR}: {names(broken)}."
    return text if broken["fitted"].any() else f"{text} All are of a rate that was not fitted."


def carries(study: Study) -> str:
    """Say how far the rule carries where it was fitted, and whether the curve is all there is."""
    fit = study["scaling_fit"].set_index("loss").loc[LOSS]
    fitted = study["scaling_residuals"].query("fitted")["residual"].dropna()
    if np.isnan(fit["p_value"]):
        return ""
    where = f"Below a rate of {fit['below']:g}, the" if np.isfinite(fit["below"]) else "The"
    test = (
        f"(lack-of-fit test, F({fit['lack_of_fit_freedom']:.0f}, {fit['within_freedom']:.0f}) = "
        f"{number(fit['lack_of_fit'], 2)}, p = {number(fit['p_value'], 2)})"
    )
    text = f"{where} product of rate and updates gives the loss of each cell to within "
    text += percent(np.log1p(np.expm1(fitted).abs().max())).lstrip("+")
    if fit["p_value"] < 0.05:
        return (
            f"{text}, but does not decide it alone: the cells lie farther from the curve than the "
            f"scatter of their runs explains {test}."
        )
    return f"{text}, and the scatter of the runs explains what is left {test}."
