# The data set (§2.1): one job per shard, in any order, anywhere.


rule shard:
    output:
        f"{RESULTS}/data/{{shard}}.h5",
    log:
        f"{RESULTS}/logs/shard/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/shard/{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        **SCENE,
        range=lambda wildcards: SHARDS[wildcards.shard],
        seed=config["data"]["seed"],
        image_size=config["data"]["image_size"],
        box_law=config["data"]["box_law"],
    script:
        "../scripts/shard.py"


rule dataset_preview:
    input:
        shards("test"),
    output:
        figure("fig1_dataset", "Fig. 1", "preview of the data set", PROBLEM),
    log:
        f"{RESULTS}/logs/dataset_preview.log",
    benchmark:
        f"{RESULTS}/benchmarks/dataset_preview.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        expected=expected("test"),
    script:
        "../scripts/dataset_preview.py"
