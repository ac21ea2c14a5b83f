"""Networks beside each other: tables of runs, combinations and conditions, and their figures."""

from pathlib import Path

import pandas as pd

from boxest import analysis, conditions, figures, history, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    combinations = snakemake.params.combinations
    seeds = len(snakemake.input.run) // len(combinations)
    tested = [pd.read_csv(path) for path in snakemake.input.predictions]
    collected = [
        history.collect([Path(run).parent], ["n_parameters"]) for run in snakemake.input.run
    ]
    finished = [
        (combinations[i // seeds], *collected[i], predictions)
        for i, predictions in enumerate(tested)
    ]
    runs = analysis.architecture_runs(finished)
    ranking = analysis.rank_architectures(runs)
    tables = {"architecture_runs": runs, "architectures": ranking}

    figures.save(figures.architectures(runs), snakemake.output.dots[0])
    rows = analysis.shown_runs(runs, ranking)
    shown = {figures.combination(runs.loc[row]): tested[row] for row in rows}
    for name in ("histogram", "scatter"):
        draw = getattr(figures, f"error_{name}")
        figures.save(draw(shown, metric="iou_loss"), snakemake.output[name][0])
    if snakemake.output.get("conditions"):
        sets = snakemake.config["architectures"]["conditions"]
        differences = {name: conditions.described(data) for name, data in sets.items()}
        tables["conditions"] = analysis.condition_table(ranking, differences)
        figures.save(figures.conditions(runs, ranking), snakemake.output.survival[0])
    for name, table in tables.items():
        write_text(snakemake.output[name], table.to_csv(index=False))
        print(f"{name}\n{table}\n")
