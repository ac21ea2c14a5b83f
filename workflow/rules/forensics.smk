# What the paper leaves open: variants of the training on a few cells, ranked by their distance to
# its Fig. 8. No part of the study: `snakemake --configfile config/forensics.yaml -- forensics`.


rule train_variant:
    input:
        train=shards("train"),
        validation=shards("validation"),
    output:
        history=variant_files("history.csv"),
        run=variant_files("run.json"),
    log:
        f"{RESULTS}/logs/train_variant/{VARIANT}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_variant/{VARIANT}.tsv"
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(15 * len(variant_runs())),
        gpu=config["training"]["gpus"],
    params:
        estimators=variant_estimators,
        compiled=COMPILED,
    script:
        "../scripts/train.py"


rule forensics:
    input:
        history=variants(rules.train_variant.output.history),
        run=variants(rules.train_variant.output.run),
    output:
        cells=f"{RESULTS}/tables/variant_cells.csv",
        variants=f"{RESULTS}/tables/variants.csv",
        ranking=report(
            f"{RESULTS}/figures/variants.png",
            caption="../report/variants.rst",
            category=ACCURACY,
            labels={"figure": "beyond: variants beside Fig. 8"},
        ),
    log:
        f"{RESULTS}/logs/forensics.log",
    benchmark:
        f"{RESULTS}/benchmarks/forensics.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/forensics.py"
