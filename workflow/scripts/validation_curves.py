"""Fig. 3 and Appendix A: validation losses, a panel per cell."""

import pandas as pd

from boxest import figures, logs

with logs.to_file(snakemake.log[0]):
    histories, runs = (pd.read_csv(snakemake.input[name]) for name in ("histories", "runs"))
    forms = {
        "small": {},
        "geometric": {"metric": "validation_iou_loss"},
        "enlarged": {"enlarged": True},
    }
    for name, form in forms.items():
        figure = figures.validation_curves(histories, runs=runs, **form)
        figures.save(figure, snakemake.output[name][0])
