"""Make the tables of the grid: final losses, ours beside the paper's, time."""

import pandas as pd

from boxest import analysis, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    runs = pd.read_csv(snakemake.input.runs)
    cells = analysis.cells(runs)
    times = analysis.time_table(runs)
    tables = {
        "fig8": cells,
        "comparison": analysis.comparison(cells),
        "time": times,
        "time_fit": analysis.fit_time(times),
        "scaling_fit": pd.concat(
            analysis.fit_scaling(runs, loss)
            for loss in ("validation_inclusive_iou_loss", "validation_iou_loss")
        ),
    }
    for name, table in tables.items():
        write_text(snakemake.output[name], table.to_csv(index=False))
        print(f"{name}\n{table}\n")
