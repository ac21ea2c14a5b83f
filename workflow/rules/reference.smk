# The committed outcome of the full study and the page of findings. No part of the study:
# `snakemake --configfile config/reference.yaml -- reference`, after the others that it names.


rule reference:
    input:
        findings=rules.findings.output,
        pages=rules.table_pages.output,
    output:
        readme="results/reference/README.md",
        findings="docs/findings.md",
    log:
        f"{RESULTS}/logs/reference.log",
    benchmark:
        f"{RESULTS}/benchmarks/reference.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        commands=[
            "snakemake --cores all --configfile config/forensics.yaml -- forensics",
            "snakemake --cores all --configfile config/architectures.yaml -- architectures",
            "snakemake --cores all --configfile config/harder.yaml -- architectures",
            "snakemake --cores 1 --configfile config/timing.yaml -- training_time",
            "snakemake --cores 1 --configfile config/timing.yaml config/timing_keras.yaml -- training_time",
            "snakemake --cores all --configfile config/reference.yaml",
            "snakemake --cores all --configfile config/reference.yaml -- reference",
        ],
    script:
        "../scripts/reference.py"
