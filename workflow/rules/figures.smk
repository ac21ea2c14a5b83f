# The figures of the grid.


rule validation_curves:
    input:
        histories=f"{RESULTS}/tables/histories.csv",
        runs=f"{RESULTS}/tables/runs.csv",
    output:
        small=figure("fig3_validation_losses", "Fig. 3", "validation losses"),
        geometric=figure(
            "fig3_geometric", "Fig. 3", "validation losses by geometric IoU"
        ),
        enlarged=figure("appendix_a", "Appendix A", "validation losses, enlarged"),
    log:
        f"{RESULTS}/logs/validation_curves.log",
    benchmark:
        f"{RESULTS}/benchmarks/validation_curves.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/validation_curves.py"


rule training_time:
    input:
        time=f"{RESULTS}/tables/time.csv",
        time_fit=f"{RESULTS}/tables/time_fit.csv",
    output:
        time=figure("fig4_training_time", "Fig. 4", "training time"),
        fit=figure("time_fit", "beyond", "training time as a + b / batch size"),
    log:
        f"{RESULTS}/logs/training_time.log",
    benchmark:
        f"{RESULTS}/benchmarks/training_time.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    script:
        "../scripts/training_time.py"


rule final_losses:
    input:
        cells=f"{RESULTS}/tables/fig8.csv",
        comparison=f"{RESULTS}/tables/comparison.csv",
        runs=f"{RESULTS}/tables/runs.csv",
    output:
        cells=figure("fig8_final_losses", "Fig. 8", "final losses and similitude"),
        comparison=figure("comparison", "beyond", "ours beside the paper's"),
        updates=figure("loss_against_updates", "beyond", "loss against rate × updates"),
    log:
        f"{RESULTS}/logs/final_losses.log",
    benchmark:
        f"{RESULTS}/benchmarks/final_losses.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        note=how_it_differs_from_the_paper(),
    script:
        "../scripts/final_losses.py"
