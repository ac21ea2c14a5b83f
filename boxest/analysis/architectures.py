"""Networks, losses and optimizers beside each other, on the paper's data and on harder ones."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from boxest.analysis.checks import diverged, require
from boxest.conditions import COMBINATION

COMBINATION = list(COMBINATION)
# The network that the others are compared with.
BASELINE = "paper"
METRICS = ("iou_loss", "inclusive_iou_loss")
# Objects whose smallest side is below so many pixels have columns of their own.
SMALL = (8, 16)
_PARTS = ("", *(f"_below_{side}px" for side in SMALL))
TESTED = [f"{metric}{part}" for metric in METRICS for part in _PARTS]
VALIDATED = [f"validation_{metric}" for metric in METRICS]
BOXES = [f"boxes{part}" for part in _PARTS]
# Test losses that a better network should stay below.
AIMS = {"iou_loss": 0.002, "iou_loss_below_8px": 0.01}
# A validation loss, one minus the geometric IoU, that runs are timed to.
GOOD = 0.05
_ABOUT = ["seed", "batch_size", "learning_rate", "epochs", "planned_epochs", "stopped_early"]
_AVERAGED = ["epochs", "seconds_per_epoch", "epochs_to_95", "equal_time_iou_loss"]


def tested_losses(predictions: pd.DataFrame) -> dict[str, float]:
    """Average the errors of a run on the test set: of all objects, and of small ones.

    Parameters
    ----------
    predictions : pandas.DataFrame
        From `boxest.analysis.predictions`: `smallest_side` in pixels and both losses.

    Returns
    -------
    dict
        By `TESTED` the means, NaN where a prediction is NaN or there is no such object; by `BOXES`
        how many objects they are of.
    """
    require(predictions, ["smallest_side", *METRICS], "predictions")
    # Sides are whole pixels times 1/size in floating point: 8 px may read as 7.9999.
    side = predictions["smallest_side"].round(3)
    parts = {name: side < below for name, below in zip(_PARTS, (np.inf, *SMALL), strict=True)}
    means = {
        f"{metric}{name}": predictions.loc[chosen, metric].mean(skipna=False)
        for metric in METRICS
        for name, chosen in parts.items()
    }
    return means | {f"boxes{name}": int(chosen.sum()) for name, chosen in parts.items()}


def architecture_runs(
    finished: Iterable[tuple[Mapping[str, str], pd.DataFrame, pd.DataFrame, pd.DataFrame]],
) -> pd.DataFrame:
    """Put the runs of all combinations into a table.

    Parameters
    ----------
    finished : iterable of (mapping, DataFrame, DataFrame, DataFrame)
        Of each run its combination, its histories and runs as of `boxest.history.collect`, with
        `n_parameters`, and its predictions of the test set.

    Returns
    -------
    pandas.DataFrame
        One row per run: its combination and seed; epochs and how they ended; `n_parameters`;
        `seconds_per_epoch`, the median over its epochs, which a busy machine disturbs least;
        `epochs_to_95`, the first epoch with a validation geometric IoU of at least 0.95, NaN where
        there is none; the last validation losses; what `tested_losses` gives; and
        `equal_time_iou_loss`, the geometric validation loss that it had when the best combination
        of the paper's network would have ended all its epochs, by mean times of an epoch; NaN where
        the paper's network was not trained, or no epoch had ended.
    """
    finished = list(finished)
    if not finished:
        raise ValueError("there are no runs to compare: train at least one first")
    runs = pd.DataFrame([_row(*run) for run in finished])
    twice = runs.loc[runs.duplicated([*COMBINATION, "seed"]), [*COMBINATION, "seed"]]
    if len(twice):
        raise ValueError(f"a run is there twice, {twice.iloc[0].to_dict()}: give each once")
    losses = [history["validation_iou_loss"].to_numpy() for _, history, _, _ in finished]
    ended = zip(losses, _epochs_in_equal_time(runs), strict=True)
    runs["equal_time_iou_loss"] = [loss[int(n) - 1] if n > 0 else np.nan for loss, n in ended]
    return runs


def _row(
    combination: Mapping[str, str],
    history: pd.DataFrame,
    run: pd.DataFrame,
    predictions: pd.DataFrame,
) -> dict[str, object]:
    """Return a run as one row."""
    require(run, [*_ABOUT, "n_parameters", *VALIDATED], "runs")
    one = run.iloc[0]
    reached = history.loc[history["validation_iou_loss"] <= GOOD, "epoch"]
    return {
        **combination,
        **one[_ABOUT],
        "diverged": bool(diverged(run).iloc[0]),
        "n_parameters": int(one["n_parameters"]),
        "seconds_per_epoch": history["train_seconds"].median(),
        "epochs_to_95": reached.min() if len(reached) else np.nan,
        **one[VALIDATED],
        **tested_losses(predictions),
    }


def _epochs_in_equal_time(runs: pd.DataFrame) -> pd.Series:
    """Return how many epochs of each run end within the time of the best baseline's training."""
    seconds = runs.groupby(COMBINATION)["seconds_per_epoch"].transform("mean")
    ranked = rank_architectures(runs)
    best = ranked[ranked["network"] == BASELINE].groupby("condition").first()
    time = runs["condition"].map(best["epochs"] * best["seconds_per_epoch"])
    # Rounding must not take an epoch from the baseline itself.
    return np.minimum(np.floor(time / seconds + 1e-6), runs["epochs"])


def rank_architectures(runs: pd.DataFrame) -> pd.DataFrame:
    """Average the runs of each combination, and rank these by their validation loss.

    By the validation loss, so that the test set has no part in the choice; combinations of which a
    run diverged come last.

    Parameters
    ----------
    runs : pandas.DataFrame
        From `architecture_runs`.

    Returns
    -------
    pandas.DataFrame
        One row per combination, by condition and `rank`: `runs`, `stopped_early`, `diverged` and
        `reached_95` (counts), `n_parameters`, then over the runs that did not diverge the mean of
        each column, and of the losses and seconds its standard deviation, `_sd`, NaN for one run.
        `epochs_to_95` is the mean over the runs that came so far.
    """
    require(runs, [*COMBINATION, "seed", "diverged", *VALIDATED, *TESTED], "runs")
    gone = runs["diverged"].astype(bool)
    names = [name for name in (*_AVERAGED, *VALIDATED, *TESTED) if name in runs]
    kept = runs.assign(**{name: runs[name].where(~gone) for name in names})
    grouped = kept.groupby(COMBINATION, sort=False)
    counts = {
        "runs": grouped.size(),
        "stopped_early": grouped["stopped_early"].sum(),
        "diverged": grouped["diverged"].sum(),
        "reached_95": grouped["epochs_to_95"].count(),
    }
    same = grouped[["learning_rate", "planned_epochs", "n_parameters", *BOXES]].first()
    spread = grouped[["seconds_per_epoch", *VALIDATED, *TESTED]].std(ddof=1).add_suffix("_sd")
    table = pd.concat([pd.DataFrame(counts), same, grouped[names].mean(), spread], axis=1)
    table = table.reset_index()
    places = {name: i for i, name in enumerate(runs["condition"].unique())}
    order = {"place": table["condition"].map(places), "lost": table["diverged"] > 0}
    table = table.assign(**order).sort_values(
        [*order, VALIDATED[0]], ignore_index=True, kind="stable"
    )
    table.insert(len(COMBINATION), "rank", table.groupby("place").cumcount() + 1)
    return table.drop(columns=list(order))


def networks_of(architectures: pd.DataFrame) -> list[str]:
    """Return the names of the networks, that of the paper first."""
    return sorted(architectures["network"].unique(), key=lambda name: (name != BASELINE, name))


def best_of_networks(architectures: pd.DataFrame) -> pd.DataFrame:
    """Return the best combination of each network under each condition, in the order of the ranks.

    Parameters
    ----------
    architectures : pandas.DataFrame
        From `rank_architectures`.
    """
    return architectures.drop_duplicates(["condition", "network"], ignore_index=True)


def condition_table(
    architectures: pd.DataFrame, differences: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Put the test losses of each network under each condition beside each other.

    Parameters
    ----------
    architectures : pandas.DataFrame
        From `rank_architectures`; of a network, the best combination under a condition counts.
    differences : mapping of str, optional
        How the data of each condition differ, in words.

    Returns
    -------
    pandas.DataFrame
        One row per condition: `data`, how it differs; `boxes` of the test set; then by network, in
        columns that begin with its name, `runs`, `diverged`, and mean and `_sd` of the losses.
    """
    require(architectures, [*COMBINATION, "rank", *TESTED], "architectures")
    names = ["runs", "diverged", *(f"{loss}{end}" for loss in TESTED for end in ("", "_sd"))]
    conditions, best = architectures["condition"].unique(), best_of_networks(architectures)
    parts = [
        pd.Series(differences or {}, dtype=object).reindex(conditions).fillna("").rename("data"),
        architectures.groupby("condition")["boxes"].first(),
    ]
    for network in networks_of(architectures):
        mine = best[best["network"] == network].set_index("condition")
        parts.append(mine[names].add_prefix(f"{network}_"))
    table = pd.concat([part.reindex(conditions) for part in parts], axis=1)
    return table.rename_axis("condition").reset_index()


def shown_runs(runs: pd.DataFrame, architectures: pd.DataFrame) -> list[int]:
    """Choose the runs whose predictions are shown, under the first condition.

    Parameters
    ----------
    runs, architectures : pandas.DataFrame
        From `architecture_runs` and `rank_architectures`.

    Returns
    -------
    list of int
        Rows of `runs`: of the best combination of the paper's network, and of the best of all, if
        it is another, the first run that did not diverge.
    """
    best = best_of_networks(architectures)
    best = best[best["condition"] == best["condition"].iloc[0]]
    wanted = pd.concat([best[best["network"] == BASELINE], best.head(1)]).drop_duplicates()
    rows = []
    for _, combination in wanted[COMBINATION].iterrows():
        mine = runs.loc[(runs[COMBINATION] == combination).all(axis=1), "diverged"].astype(bool)
        # The first that is False; if all runs diverged, the first.
        rows.append(int(mine.idxmin()))
    return rows
