# From the histories of the runs to the tables of the study.


rule collect:
    input:
        history=grid(f"{RESULTS}/runs/{RUN}/history.csv"),
        run=grid(f"{RESULTS}/runs/{RUN}/run.json"),
    output:
        histories=table("histories", "a row per run and epoch"),
        runs=table("runs", "a row per run"),
    log:
        f"{RESULTS}/logs/collect.log",
    benchmark:
        f"{RESULTS}/benchmarks/collect.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/collect.py"


rule tables:
    input:
        runs=f"{RESULTS}/tables/runs.csv",
        times=f"{TIMES[0]}/tables/runs.csv",
    output:
        fig8=table("fig8", "Fig. 8: final losses of each cell"),
        comparison=table("comparison", "ours beside the paper's"),
        time=table("time", "Fig. 4: training time"),
        time_fit=table("time_fit", "training time as a + b / batch size"),
        scaling_fit=table("scaling_fit", "loss as a function of rate × updates"),
        scaling_residuals=table("scaling_residuals", "how far the cells lie from it"),
        distances=table("distances", "how far our Fig. 8 is from the paper's"),
    log:
        f"{RESULTS}/logs/tables.log",
    benchmark:
        f"{RESULTS}/benchmarks/tables.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/tables.py"
