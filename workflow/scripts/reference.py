"""Copy the outcome of the study to results/reference, and write docs/findings.md from it."""

from pathlib import Path

from boxest import findings, logs

with logs.to_file(snakemake.log[0]):
    study = findings.read(snakemake.config["results"], **findings.others(snakemake.config))
    target = Path(snakemake.output.readme).parent
    findings.publish(study, target, Path(snakemake.output.findings), snakemake.params.commands)
