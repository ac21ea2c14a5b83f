# The figures drawn from tables. Changing one of them trains nothing.

FROM_TABLES = sorted(
    set(FIGURES) - {"fig1_dataset", "fig2_network", *outputs.OF_THE_BEST}
)


rule figures:
    input:
        EVERY_TABLE,
    output:
        [path for name in FROM_TABLES for path in figure(name)],
    log:
        f"{RESULTS}/logs/figures.log",
    benchmark:
        f"{RESULTS}/benchmarks/figures.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        names=FROM_TABLES,
        pages=outputs.pages(config),
        rows_and_columns=outputs.rows_and_columns(config),
        note=DIFFERENCES,
        drawn=DRAWN,
    script:
        script_path("figures")
