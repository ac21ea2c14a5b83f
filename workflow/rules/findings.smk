# What the study found: the paper's claims with their verdicts, and a page in words.


rule claims:
    input:
        histories=f"{RESULTS}/tables/histories.csv",
        runs=f"{RESULTS}/tables/runs.csv",
        times=expand("{directory}/tables/runs.csv", directory=TIMES),
        predictions=best(f"{RESULTS}/best/seed~{{seed}}/predictions.csv"),
    output:
        claims=table("claims", "the paper's claims, by the inclusive IoU"),
        claims_geometric=table("claims_geometric", "the same, by the geometric IoU"),
        cost=table("cost", "seconds and loss of each cell"),
        recommendation=table("recommendation", "where the recipe of §4 leads"),
        patience=table("patience", "runs that reach the last epoch, by patience"),
        figure=figure("seconds_against_loss", "beyond", "what accuracy costs", TIME),
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/claims.py"


rule table_pages:
    input:
        [f"{RESULTS}/tables/{name}.csv" for name in TABLES],
    output:
        [table_page(name, shows) for name, shows in TABLES.items()],
    log:
        f"{RESULTS}/logs/table_pages.log",
    benchmark:
        f"{RESULTS}/benchmarks/table_pages.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/table_pages.py"


rule findings:
    input:
        tables=[f"{RESULTS}/tables/{name}.csv" for name in TABLES],
        figures=[f"{RESULTS}/figures/{name}.png" for name in FIGURES],
        times=expand("{directory}/tables/time_fit.csv", directory=TIMES),
        forensics=told_of("forensics", "variants"),
        architectures=told_of("architectures", "architectures"),
        harder=told_of("harder", "conditions"),
        rates=rules.rates.output if config["findings"]["rates"] else [],
        captions=[
            workflow.source_path(f"../report/{name}.rst") for name in sorted(CAPTIONS)
        ],
    output:
        markdown=f"{RESULTS}/findings.md",
        html=report(
            f"{RESULTS}/findings.html",
            caption="../report/findings.rst",
            category=FINDINGS,
            labels={"page": "findings", "shows": "the study and its verdicts"},
        ),
        summary=f"{RESULTS}/summary.json",
        captions=[f"{RESULTS}/captions/{name}.rst" for name in sorted(CAPTIONS)],
    log:
        f"{RESULTS}/logs/findings.log",
    benchmark:
        f"{RESULTS}/benchmarks/findings.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=per_attempt(1000),
        runtime=per_attempt(10),
    script:
        "../scripts/findings.py"
