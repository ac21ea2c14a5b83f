# A study: a table of runs, and what it shows. By default the paper's, of batch size and learning rate.

import os

from snakemake.utils import min_version

min_version("9.0")

# Elsewhere, or as a module with a configuration of its own, the defaults of the schema stand in for it.
if os.path.exists("config/config.yaml"):

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/functions.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        rules.dataset_preview.output,
        rules.layer_table.output,
        rules.tables.output,
        rules.figures.output,
        rules.best.output,
        rules.pages.output,
        rules.findings.output,
        rules.explorer.output,
