# The influence of batch size and learning rate: the paper's study, from nothing to every figure.

from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"


if config["training"]["runs_per_job"] > 1:

    include: "workflow/rules/train_several.smk"


if config["training"]["fan_out"] == "batch_size":

    include: "workflow/rules/train_stacked.smk"


include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/best.smk"
include: "workflow/rules/rates.smk"
include: "workflow/rules/findings.smk"
include: "workflow/rules/reference.smk"
include: "workflow/rules/forensics.smk"
include: "workflow/rules/combinations.smk"
include: "workflow/rules/architectures.smk"


report: "workflow/report/workflow.rst"


rule all:
    default_target: True
    input:
        rules.dataset_preview.output,
        rules.layer_table.output,
        rules.validation_curves.output,
        rules.training_time.output,
        rules.final_losses.output,
        rules.tables.output,
        rules.best.output,
        rules.claims.output,
        rules.table_pages.output,
        rules.findings.output,
