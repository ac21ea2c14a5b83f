"""Find the cells that would have a mean at the last epoch with a smaller patience."""

import numpy as np
import pandas as pd

from boxest.analysis.cells import paper_loss
from boxest.analysis.columns import CELL, RUN, check_runs, diverged, require


def patience_table(
    histories: pd.DataFrame, runs: pd.DataFrame, loss: str = "validation_loss"
) -> pd.DataFrame:
    """Count the runs of each cell that reach the last epoch, for each patience of early stopping.

    The paper does not state the patience, and leaves out three cells. A run stops after this many
    epochs without a new smallest loss, so its own history shows where a smaller patience would have
    stopped it. In the last planned epoch, there is nothing left to stop.

    Parameters
    ----------
    histories, runs : pandas.DataFrame
        From `boxest.study.history.collect`.
    loss : str
        The monitored loss.

    Returns
    -------
    pandas.DataFrame
        One row per patience, from 1 to the smallest that stopped a run (or to the number of epochs,
        where none stopped), and cell: `patience`, `batch_size`, `learning_rate`, `runs`, `reached`
        (the number that reach the last planned epoch without diverging) and `in_paper`.
    """
    check_runs(runs, ["epochs", "planned_epochs", "stopped_early"])
    require(histories, [*RUN, "epoch", loss], "histories")
    outcome = runs.set_index(RUN)
    whole = ~diverged(outcome) & (outcome["epochs"] >= outcome["planned_epochs"])
    before_last = histories["epoch"] < outcome["planned_epochs"].max()
    longest = _longest_waits(histories[before_last], loss).reindex(outcome.index, fill_value=0)
    stopped = longest[outcome["stopped_early"]]
    largest = int(stopped.min() if len(stopped) else outcome["planned_epochs"].max())
    cells = [outcome.index.get_level_values(name) for name in CELL]
    rows = []
    for patience in range(1, largest + 1):
        reached = whole & (longest < patience)
        table = reached.groupby(cells).agg(runs="size", reached="sum").reset_index()
        table.insert(0, "patience", patience)
        rows.append(table)
    result = pd.concat(rows, ignore_index=True)
    return result.assign(in_paper=np.isfinite(paper_loss(result)))


def _longest_waits(histories: pd.DataFrame, loss: str) -> pd.Series:
    """Return the largest number of consecutive epochs without a new smallest loss for each run."""
    ordered = histories.sort_values("epoch")
    return ordered.groupby(RUN)[loss].agg(_longest_wait)


def _longest_wait(losses: pd.Series) -> int:
    best, wait, longest = np.inf, 0, 0
    for loss in losses:
        wait = 0 if loss < best else wait + 1
        best, longest = min(best, loss), max(longest, wait)
    return longest
