# The findings of the study: a page in words, the captions of the report, and the reference.


rule pages:
    input:
        EVERY_TABLE,
    output:
        [
            captioned(
                "tables",
                f"{name}.html",
                {"table": name, "shows": TABLES[name].shows},
                "tables",
            )
            for name in TABLES
        ],
    log:
        f"{RESULTS}/logs/pages.log",
    benchmark:
        f"{RESULTS}/benchmarks/pages.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    script:
        script_path("pages")


rule findings:
    input:
        tables=EVERY_TABLE,
        figures=[f"{RESULTS}/figures/{name}.png" for name in FIGURES],
        others=[
            f"{path}/summary.json"
            for key in ("times", "studies")
            for path in config["findings"][key]
        ],
    output:
        markdown=f"{RESULTS}/findings.md",
        html=report(
            f"{RESULTS}/findings.html",
            caption="../report/findings.rst",
            category=outputs.SECTIONS["findings"],
            labels={"page": "findings", "shows": "the study in words"},
        ),
        summary=f"{RESULTS}/summary.json",
        captions=[f"{RESULTS}/captions/{name}.rst" for name in CAPTIONS],
        # The first page of the report includes it.
        opening=f"{RESULTS}/opening.rst",
    log:
        f"{RESULTS}/logs/findings.log",
    benchmark:
        f"{RESULTS}/benchmarks/findings.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        config=config,
        templates={name: template(name) for name in CAPTIONS},
        summary={
            "tables": list(TABLES),
            "figures": list(FIGURES),
            "left_out": outputs.left_out(config),
            "differences": DIFFERENCES,
            "verdicts": VERDICTS,
        },
    script:
        script_path("findings")


rule explorer:
    input:
        histories=f"{RESULTS}/tables/histories.csv",
        runs=f"{RESULTS}/tables/runs.csv",
        followed=of_runs(GRID, "followed.npy"),
        validation=shards("validation", FIRST),
    output:
        # Too large for Snakemake's report, which hands each page to the browser as an address;
        # browsers open none above 2 MB.
        f"{RESULTS}/explorer.html",
    log:
        f"{RESULTS}/logs/explorer.log",
    benchmark:
        f"{RESULTS}/benchmarks/explorer.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        axes=list(AXES) or list(run_table.CELL),
        title=os.path.basename(os.getcwd() if RESULTS == "results" else RESULTS),
        same_loss=not isinstance(outputs.common(config)[1]["loss"], tuple),
        # Runs with other data did not see these images.
        same_images=len({data_folder(run.condition) for run in RUNS.values()}) == 1,
        expected=expected(FIRST)["validation"],
    script:
        script_path("explorer")


# Not part of the study: run `snakemake --configfile config/reference.yaml -- reference` after the
# other studies, which config/reference.yaml names.
rule reference:
    input:
        summary=rules.findings.output.summary,
        markdown=rules.findings.output.markdown,
    output:
        readme="results/reference/README.md",
        findings="docs/findings.md",
    log:
        f"{RESULTS}/logs/reference.log",
    benchmark:
        f"{RESULTS}/benchmarks/reference.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        commands=[
            "snakemake --cores all --configfile config/forensics.yaml",
            "snakemake --cores all --configfile config/figure8.yaml",
            "snakemake --cores all --configfile config/architectures.yaml",
            "snakemake --cores all --configfile config/harder.yaml "
            "--config 'data={images: 2500}' 'grid={seeds: 2}'",
            "snakemake --cores all --configfile config/photographs.yaml",
            "snakemake --cores 1 --configfile config/timing.yaml",
            "snakemake --cores 1 --configfile config/timing.yaml config/timing_keras.yaml",
            "snakemake --cores all --configfile config/reference.yaml -- all reference",
        ],
    script:
        script_path("reference")
