# Make the tables of the study from the files of the runs.


rule collect:
    input:
        history=of_runs(GRID, "history.csv"),
        run=of_runs(GRID, "run.json"),
        predictions=of_runs(GRID, "predictions.csv"),
    output:
        **tables("histories", "runs"),
    log:
        f"{RESULTS}/logs/collect.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        axes=list(AXES),
    script:
        script_path("collect")


rule best:
    input:
        runs=f"{RESULTS}/tables/runs.csv",
        files=[
            path
            for name in ("run.json", "history.csv", "predictions.csv", MODEL)
            for path in of_runs(BEST or GRID, name)
        ],
        train=shards("train", FIRST),
        test=shards("test", FIRST),
    output:
        **tables("best", "baselines"),
        tested=f"{RESULTS}/predictions.csv",
        model=f"{RESULTS}/{MODEL}",
        predictions=figures("fig5_predictions"),
        histogram=figures("fig6_error_by_side"),
        scatter=figures("fig7_error_by_size"),
    log:
        f"{RESULTS}/logs/best.log",
    benchmark:
        f"{RESULTS}/benchmarks/best.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        # The one of the images that the figures show.
        **({"condition": FIRST} if FIRST and not BEST else {}),
        runs=[f"{RESULTS}/runs/{path}" for path in BEST],
        axes=list(AXES),
        expected=expected(FIRST),
        data=images.of(config, FIRST),
    script:
        script_path("best")


rule tables:
    input:
        histories=f"{RESULTS}/tables/histories.csv",
        runs=f"{RESULTS}/tables/runs.csv",
        times=[f"{path}/tables/runs.csv" for path in config["findings"]["times"]],
        # Of another cell, the paper's claims on the best one have no verdict.
        tested=(
            f"{RESULTS}/predictions.csv"
            if not VERDICTS or deviations.has_the_papers_best(config, PAPER)
            else []
        ),
        searches=[
            f"{RESULTS}/rates/batch_size~{size}.csv"
            for size in dict.fromkeys(
                RUNS[path].settings["batch_size"] for path in GRID
            )
            if config["rates"]
        ],
    output:
        **tables(
            *(
                name
                for name in TABLES
                if name not in ("histories", "runs", "best", "baselines")
            )
        ),
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        axes=list(AXES),
        decide=VERDICTS,
    script:
        script_path("tables")
