# The learning rate found by short trials (§4), beside the best one of the grid. No part of the study:
# `snakemake --configfile config/reference.yaml -- rates`.


rule find_rates:
    input:
        train=shards("train"),
        validation=shards("validation"),
    output:
        f"{RESULTS}/rates/batch_size~{{batch_size}}.csv",
    log:
        f"{RESULTS}/logs/find_rates/batch_size~{{batch_size}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/find_rates/batch_size~{{batch_size}}.tsv"
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(10 * config["rates"]["seeds"]),
        gpu=config["training"]["gpus"],
    params:
        estimators=rate_estimators,
        rates=config["rates"],
        compiled=COMPILED,
    script:
        "../scripts/find_rates.py"


rule rates:
    input:
        searches=expand(
            rules.find_rates.output, batch_size=config["grid"]["batch_size"]
        ),
        histories=f"{RESULTS}/tables/histories.csv",
    output:
        found=f"{RESULTS}/tables/found_rates.csv",
        by_method=f"{RESULTS}/tables/found_rates_by_method.csv",
        figure=report(
            f"{RESULTS}/figures/found_rates.png",
            caption="../report/found_rates.rst",
            category=ACCURACY,
            labels={"figure": "beyond: rates found by short trials"},
        ),
    log:
        f"{RESULTS}/logs/rates.log",
    benchmark:
        f"{RESULTS}/benchmarks/rates.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/rates.py"
