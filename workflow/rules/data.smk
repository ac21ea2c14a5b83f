# The data set (§2.1): one job per shard, in any order, anywhere; the same for each condition.


rule render:
    output:
        boxes=f"{RESULTS}/rendered/boxes.csv",
        folder=directory(f"{RESULTS}/rendered/images"),
    log:
        f"{RESULTS}/logs/render.log",
    benchmark:
        f"{RESULTS}/benchmarks/render.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        render=config["data"].get("render"),
    script:
        script_path("render")


# Assigns pictures to shards, and reports any problem with the boxes.
rule plan:
    input:
        originals,
    output:
        f"{RESULTS}/data/{{condition}}images.csv",
    log:
        f"{RESULTS}/logs/plan/{{condition}}images.log",
    benchmark:
        f"{RESULTS}/benchmarks/plan/{{condition}}images.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        data=data_of,
    script:
        script_path("plan")


rule shard:
    input:
        plan=plan,
    output:
        f"{RESULTS}/data/{{condition}}{{shard}}.h5",
    log:
        f"{RESULTS}/logs/shard/{{condition}}{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/shard/{{condition}}{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        data=drawn if DRAWN else data_of,
    script:
        script_path("shard") if DRAWN else script_path("convert")


rule dataset_preview:
    input:
        shards("test", FIRST),
    output:
        figures("fig1_dataset"),
    log:
        f"{RESULTS}/logs/dataset_preview.log",
    benchmark:
        f"{RESULTS}/benchmarks/dataset_preview.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **SMALL,
    params:
        expected=expected(FIRST)["test"],
    script:
        script_path("dataset_preview")
