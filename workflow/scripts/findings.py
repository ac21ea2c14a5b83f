"""Write the findings of the study: a page in words, its numbers, and the captions of the report."""

from pathlib import Path

from boxest.report import captions, findings, html
from boxest.system import logs
from boxest.system.files import write_json, write_text

with logs.to_file(snakemake.log[0]):
    params, results = snakemake.params, Path(snakemake.output.summary).parent
    others = {kind: params.config["findings"][kind] for kind in ("times", "studies")}
    summary = params.summary | {"config": params.config}
    study = findings.read(results, **others, tables=summary["tables"])
    summary["numbers"] = findings.numbers(study)
    write_json(snakemake.output.summary, summary)
    for name, path in zip(params.templates, snakemake.output.captions, strict=True):
        write_text(path, captions.fill_in(params.templates[name], summary, name))

    study = findings.read(results, **others)
    write_text(snakemake.output.opening, findings.opening(study))
    text = findings.page(study, results)
    write_text(snakemake.output.markdown, text)
    write_text(snakemake.output.html, html.document(text, results))
