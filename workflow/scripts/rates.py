"""Put the learning rates that were found beside the best ones of the grid."""

import pandas as pd

from boxest import analysis, figures, logs
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    searches = pd.concat(map(pd.read_csv, snakemake.input.searches), ignore_index=True)
    found = analysis.found_rates(searches, pd.read_csv(snakemake.input.histories))
    by_method = analysis.rates_by_method(found)
    write_text(snakemake.output.found, found.to_csv(index=False))
    write_text(snakemake.output.by_method, by_method.to_csv(index=False))
    figures.save(figures.found_rates(found), snakemake.output.figure)
    print(by_method)
