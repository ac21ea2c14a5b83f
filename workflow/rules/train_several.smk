# With training.runs_per_job above 1: jobs that train several seeds of a cell in turn.


for seeds in plan.seed_blocks(
    config["grid"]["seeds"], config["training"]["runs_per_job"]
):
    block = RUN.replace("{seed}", f"{seeds[0]}-{seeds[-1]}")

    rule:
        name:
            f"train_seeds_{seeds[0]}_to_{seeds[-1]}"
        input:
            train=shards("train"),
            validation=shards("validation"),
        output:
            history=expand(
                f"{RESULTS}/runs/{RUN}/history.csv", seed=seeds, allow_missing=True
            ),
            run=expand(f"{RESULTS}/runs/{RUN}/run.json", seed=seeds, allow_missing=True),
        log:
            f"{RESULTS}/logs/train/{block}.log",
        benchmark:
            f"{RESULTS}/benchmarks/train/{block}.tsv"
        conda:
            ENVIRONMENT
        threads: config["training"]["threads"]
        resources:
            mem_mb=per_attempt(2000),
            runtime=per_attempt(15 * len(seeds)),
            gpu=config["training"]["gpus"],
        params:
            estimators=grid_estimators(seeds),
            compiled=COMPILED,
        script:
            "../scripts/train.py"
