"""Copy the outcome of the study to results/reference, and write docs/findings.md from it."""

from pathlib import Path

from boxest.report import findings
from boxest.system import logs

with logs.to_file(snakemake.log[0]):
    params, target = snakemake.params, Path(snakemake.output.readme).parent
    study = findings.with_others(Path(snakemake.input.summary).parent)
    findings.publish(study, target, Path(snakemake.output.findings), params.commands)
