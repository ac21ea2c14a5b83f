"""The captions of a study of architectures, with its numbers."""

from pathlib import Path

from boxest import findings, logs, pages
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    study = findings.read(snakemake.config["results"])
    summary = {"config": snakemake.config, "numbers": findings.architecture_numbers(study)}
    for template, path in zip(snakemake.input.captions, snakemake.output, strict=True):
        write_text(path, pages.caption(Path(template).read_text("utf-8"), summary))
