# The data set (§2.1): one job per shard, in any order, anywhere; and so under other conditions.


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
        **SHARD_PARAMETERS,
    script:
        "../scripts/shard.py"


use rule shard as shard_of_condition with:
    output:
        f"{RESULTS}/data/{{condition}}/{{shard}}.h5",
    log:
        f"{RESULTS}/logs/shard_of_condition/{{condition}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/shard_of_condition/{{condition}}/{{shard}}.tsv"
    params:
        **SHARD_PARAMETERS,
        scene=lambda wildcards: plan.scene(data_of(wildcards)).options(),


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
