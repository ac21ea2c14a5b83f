# The best parametrization (§5.1): trained by the rule of the grid, then tried on the test set.


use rule train as train_best with:
    output:
        history=[f"{RESULTS}/best/seed~{{seed}}/history.csv"],
        run=[f"{RESULTS}/best/seed~{{seed}}/run.json"],
        model=f"{RESULTS}/best/seed~{{seed}}/model.boxest",
    log:
        f"{RESULTS}/logs/train_best/seed~{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train_best/seed~{{seed}}.tsv"
    wildcard_constraints:
        seed=r"\d+",
    params:
        estimators=best_estimators,
        compiled=COMPILED,


rule predict:
    input:
        model=f"{RESULTS}/best/seed~{{seed}}/model.boxest",
        test=shards("test"),
    output:
        f"{RESULTS}/best/seed~{{seed}}/predictions.csv",
    log:
        f"{RESULTS}/logs/predict/seed~{{seed}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/seed~{{seed}}.tsv"
    conda:
        ENVIRONMENT
    threads: config["training"]["threads"]
    resources:
        mem_mb=per_attempt(2000),
        runtime=per_attempt(30),
    params:
        expected=expected("test"),
    script:
        "../scripts/predict.py"


rule best:
    input:
        run=best(f"{RESULTS}/best/seed~{{seed}}/run.json"),
        history=best(f"{RESULTS}/best/seed~{{seed}}/history.csv"),
        predictions=best(f"{RESULTS}/best/seed~{{seed}}/predictions.csv"),
        test=shards("test"),
    output:
        table=table("best", "test loss of the best parametrization"),
        predictions=figure("fig5_predictions", "Fig. 5", "predictions", BEST),
        histogram=figure(
            "fig6_error_by_side", "Fig. 6", "errors by smallest side", BEST
        ),
        scatter=figure(
            "fig7_error_by_size", "Fig. 7", "errors by width and height", BEST
        ),
    log:
        f"{RESULTS}/logs/best.log",
    benchmark:
        f"{RESULTS}/benchmarks/best.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    params:
        expected=expected("test"),
    script:
        "../scripts/best.py"
