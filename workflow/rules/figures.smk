# The figures of the grid.


rule validation_curves:
    input:
        histories=f"{RESULTS}/tables/histories.csv",
        runs=f"{RESULTS}/tables/runs.csv",
    output:
        small=figure("fig3_validation_losses", "Fig. 3", "validation losses", ACCURACY),
        geometric=figure(
            "fig3_geometric", "Fig. 3", "validation losses by geometric IoU", ACCURACY
        ),
        enlarged=figure(
            "appendix_a", "Appendix A", "validation losses, enlarged", ACCURACY
        ),
    log:
        f"{RESULTS}/logs/validation_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation_curves.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/validation_curves.py"


rule training_time:
    input:
        time=f"{RESULTS}/tables/time.csv",
        time_fit=f"{RESULTS}/tables/time_fit.csv",
    output:
        time=figure("fig4_training_time", "Fig. 4", "training time", TIME),
        fit=figure("time_fit", "beyond", "training time as a + b / batch size", TIME),
    log:
        f"{RESULTS}/logs/training_time.log",
    benchmark:
        f"{RESULTS}/benchmarks/training_time.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/training_time.py"


rule final_losses:
    input:
        cells=f"{RESULTS}/tables/fig8.csv",
        comparison=f"{RESULTS}/tables/comparison.csv",
        runs=f"{RESULTS}/tables/runs.csv",
        residuals=f"{RESULTS}/tables/scaling_residuals.csv",
    output:
        cells=figure(
            "fig8_final_losses", "Fig. 8", "final losses and similitude", ACCURACY
        ),
        comparison=figure("comparison", "beyond", "ours beside the paper's", ACCURACY),
        updates=figure(
            "loss_against_updates", "beyond", "loss against rate × updates", ACCURACY
        ),
        residuals=figure(
            "scaling_residuals", "beyond", "how far rate × updates carries", ACCURACY
        ),
    log:
        f"{RESULTS}/logs/final_losses.log",
    benchmark:
        f"{RESULTS}/benchmarks/final_losses.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        note=plan.differences(config),
    script:
        "../scripts/final_losses.py"
