# Networks beside the paper's (§5.2.1), on its data and on harder ones. No part of the study:
# `snakemake --configfile config/architectures.yaml -- architectures`, and so with config/harder.yaml.


use rule train as train_combination with:
    input:
        train=condition_shards("train"),
        validation=condition_shards("validation"),
        test=condition_shards("test"),
    output:
        history=combination_files("history.csv"),
        run=combination_files("run.json"),
        predictions=combination_files("predictions.csv"),
    log:
        f"{RESULTS}/logs/train_combination/{COMBINATION}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_combination/{COMBINATION}.tsv"
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(15 * config["architectures"]["seeds"]),
        gpu=config["training"]["gpus"],
    params:
        estimators=combination_estimators,
        compiled=COMPILED,
        data=data_of,


rule compare_architectures:
    input:
        history=combined("history.csv"),
        run=combined("run.json"),
        predictions=combined("predictions.csv"),
    output:
        **compared_outputs(),
    log:
        f"{RESULTS}/logs/compare_architectures.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare_architectures.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        combinations=conditions.combinations(config["architectures"]),
    script:
        "../scripts/compare_architectures.py"


use rule table_pages as architecture_pages with:
    input:
        [f"{RESULTS}/tables/{name}.csv" for name in COMPARED["tables"]],
    output:
        [compared_page(*one) for one in COMPARED["tables"].items()],
    log:
        f"{RESULTS}/logs/architecture_pages.log",
    benchmark:
        f"{RESULTS}/benchmarks/architecture_pages.tsv"


rule architectures:
    input:
        rules.compare_architectures.output,
        rules.architecture_pages.output,
        captions=[
            workflow.source_path(f"../report/{name}.rst")
            for name in sorted(COMPARED["captions"])
        ],
    output:
        [f"{RESULTS}/captions/{name}.rst" for name in sorted(COMPARED["captions"])],
    log:
        f"{RESULTS}/logs/architectures.log",
    benchmark:
        f"{RESULTS}/benchmarks/architectures.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/architectures.py"
