# With training.fan_out: batch_size, jobs that train all runs of a batch size in one program.


def stacked(pattern):
    """Return a file of every run of a batch size."""
    return expand(
        pattern,
        learning_rate=config["grid"]["learning_rate"],
        seed=range(config["grid"]["seeds"]),
        allow_missing=True,
    )


def stacked_estimators(wildcards):
    """Return all runs of a batch size."""
    return [
        grid_estimator(wildcards.batch_size, rate, seed) | {"checkpoint": None}
        for rate in config["grid"]["learning_rate"]
        for seed in range(config["grid"]["seeds"])
    ]


rule train_stacked:
    input:
        train=shards("train"),
        validation=shards("validation"),
    output:
        history=stacked(f"{RESULTS}/runs/{RUN}/history.csv"),
        run=stacked(f"{RESULTS}/runs/{RUN}/run.json"),
    log:
        f"{RESULTS}/logs/train/batch_size~{{batch_size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/batch_size~{{batch_size}}.tsv"
    conda:
        "../../environment-jax.yml"
    threads: config["training"]["threads"]
    resources:
        mem_mb=per_attempt(4000),
        runtime=per_attempt(600),
        gpu=config["training"]["gpus"],
    params:
        estimators=stacked_estimators,
        # Outside of all declared outputs, which Snakemake deletes when a job fails.
        state=f"{RESULTS}/state/batch_size~{{batch_size}}.npz",
        compiled=COMPILED,
    script:
        "../scripts/train_stacked.py"
