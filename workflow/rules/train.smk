# The network (§2.2) and the grid (§3): one job per batch size, learning rate and seed.


rule layer_table:
    output:
        figure("fig2_network", "Fig. 2", "layers of the network", PROBLEM),
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
        network=config["network"],
        image_size=config["data"]["image_size"],
    script:
        "../scripts/layer_table.py"


rule train:
    input:
        train=shards("train"),
        validation=shards("validation"),
    output:
        history=[f"{RESULTS}/runs/{RUN}/history.csv"],
        run=[f"{RESULTS}/runs/{RUN}/run.json"],
    log:
        f"{RESULTS}/logs/train/{RUN}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{RUN}.tsv"
    wildcard_constraints:
        # Several runs per job: the rules of train_several.smk or train_stacked.smk make them, and
        # this one none.
        seed=r"\d+" if plan.has_a_job_per_run(config["training"]) else "none",
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(15),
        gpu=config["training"]["gpus"],
    params:
        estimators=grid_estimators(),
        compiled=COMPILED,
    script:
        "../scripts/train.py"
