# The network (§2.2) and the runs (§3): one job per cell and seed, or as `execution` says.


# The list of runs for `boxest status`.
rule study:
    output:
        f"{RESULTS}/study.json",
    log:
        f"{RESULTS}/logs/study.log",
    benchmark:
        f"{RESULTS}/benchmarks/study.tsv"
    priority: 100
    localrule: True
    conda:
        ENVIRONMENT
    params:
        # A function, so that only this job makes the list: every job reads these rules again.
        runs=lambda wildcards: status.listing(config),
    script:
        script_path("study")


for job in run_table.jobs(config):

    rule:
        name:
            job.name
        input:
            train=part(job, "train"),
            validation=part(job, "validation"),
            test=part(job, "test"),
            functions=functions(job),
        output:
            history=of_runs(job.runs, "history.csv"),
            run=of_runs(job.runs, "run.json"),
            predictions=of_runs(job.runs, "predictions.csv"),
            followed=of_runs(job.runs, "followed.npy"),
            model=of_runs(job.runs, MODEL),
        log:
            f"{RESULTS}/logs/train/{job.log}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train/{job.log}.tsv"
        wildcard_constraints:
            cell=job.cells,
        conda:
            "../envs/jax.yml" if job.together else ENVIRONMENT
        threads: EXECUTION["threads"]
        resources:
            mem_mb=per_attempt(4000 if job.together else 2000),
            runtime=per_attempt(600 if job.together else 15 * len(job.runs)),
            gpu=EXECUTION["gpus"],
        params:
            runs=estimators(job),
            expected=expected_of(job),
            files=own_files(job),
            together=f"{RESULTS}/state/{job.log}.npz" if job.together else None,
            compiled=compiled,
        script:
            script_path("train")


rule layer_table:
    input:
        test=shards("test", FIRST),
        functions=list(FILES.values()),
    output:
        figures("fig2_network"),
    log:
        f"{RESULTS}/logs/layer_table.log",
    benchmark:
        f"{RESULTS}/benchmarks/layer_table.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(10),
    params:
        settings=run_table.shown(config).settings,
        files=list(FILES),
        expected=expected(FIRST)["test"],
    script:
        script_path("layer_table")


rule find_rates:
    input:
        train=shards("train", SEARCHED.condition),
        validation=shards("validation", SEARCHED.condition),
        functions=list(FILES.values()),
    output:
        f"{RESULTS}/rates/batch_size~{{batch_size}}.csv",
    log:
        f"{RESULTS}/logs/find_rates/batch_size~{{batch_size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/find_rates/batch_size~{{batch_size}}.tsv"
    conda:
        ENVIRONMENT
    threads: EXECUTION["threads"]
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(100),
        gpu=EXECUTION["gpus"],
    params:
        **({"files": list(FILES)} if FILES else {}),
        settings={
            name: config["settings"][name] if name in run_table.CELL else value
            for name, value in SEARCHED.parameters.items()
        },
        rates=config["rates"],
        expected=expected(SEARCHED.condition),
        compiled=compiled,
    script:
        script_path("find_rates")
