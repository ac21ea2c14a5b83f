"""What the study found: a page in words, its numbers, and the captions of the report."""

from pathlib import Path

from boxest import findings, logs, pages
from boxest.files import write_json, write_text

with logs.to_file(snakemake.log[0]):
    results = Path(snakemake.output.summary).parent
    others = findings.others(snakemake.config)
    numbers = findings.numbers(findings.read(results, **others))
    summary = {"config": snakemake.config, "numbers": numbers}
    write_json(snakemake.output.summary, summary)
    captions = zip(snakemake.input.captions, snakemake.output.captions, strict=True)
    for template, path in captions:
        write_text(path, pages.caption(Path(template).read_text("utf-8"), summary))

    text = findings.page(findings.read(results, **others), results)
    write_text(snakemake.output.markdown, text)
    write_text(snakemake.output.html, pages.document(text, results))
