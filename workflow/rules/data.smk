# The data set (§2.1): one job per shard, in any order, anywhere; and so under other conditions.

DRAWN = config["data"]["source"] == "synthetic"


def data_of(wildcards):
    """Return the section `data` of the configuration, or what the condition of a job makes of it."""
    return images.of(config, wildcards.condition.rstrip("/"))


def drawn(wildcards):
    """Return what a shard of drawn boxes is made from."""
    data = data_of(wildcards)
    return {
        "range": images.shard_ranges(data)[wildcards.shard],
        "scene": images.scene(data).options(),
        **{name: data[name] for name in ("seed", "image_size", "box_law")},
    }


def originals(wildcards):
    """Return the files that a plan of the user's images is made from."""
    if config["data"].get("render"):
        return f"{RESULTS}/rendered/boxes.csv"
    return sources.inputs(data_of(wildcards))


def plan(wildcards):
    """Return the plan of a shard of the user's images."""
    return [] if DRAWN else f"{RESULTS}/data/{wildcards.condition}images.csv"


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
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        render=config["data"].get("render"),
    script:
        "../scripts/render.py"


# Which picture goes into which shard: whatever is wrong with the boxes is said here.
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
        "../scripts/plan.py"


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
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        data=drawn if DRAWN else data_of,
    script:
        "../scripts/shard.py" if DRAWN else "../scripts/convert.py"


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
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        expected=expected(FIRST)["test"],
    script:
        "../scripts/dataset_preview.py"
