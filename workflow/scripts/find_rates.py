"""Find a learning rate for a batch size, by each method and with each seed."""

from boxest.system import backend, logs, runtime
from boxest.system.files import write_text

with logs.to_file(snakemake.log[0]):
    runtime.prepare(
        snakemake.threads,
        gpus=snakemake.resources.get("gpu", 0),
        compiled=snakemake.params.compiled,
    )

    import pandas as pd

    from boxest import find_learning_rate, shards
    from boxest.study import estimators

    for part in ("train", "validation"):
        shards.arrange(snakemake.input[part], snakemake.params.expected[part])
    print(f"device: {backend.device()}", flush=True)
    files = dict(zip(snakemake.params.get("files", []), snakemake.input.functions, strict=True))
    size, rates = int(snakemake.wildcards.batch_size), snakemake.params.rates
    settings = {"batch_size": size, "learning_rate": rates["start"]}
    magnitudes = {name: rates[name] for name in ("start", "epochs")}
    rows = []
    for seed in range(rates["seeds"]):
        for method, options in {"range_test": {}, "magnitudes": magnitudes}.items():
            search = find_learning_rate(
                estimators.make(snakemake.params.settings | settings, seed, files),
                snakemake.input.train,
                validation_data=snakemake.input.validation,
                method=method,
                **options,
            )
            row = {"batch_size": size, "method": method, "seed": seed}
            row |= {"found_rate": search.learning_rate}
            rows.append(row | {name: getattr(search, name) for name in ("epochs", "seconds")})
            print(rows[-1], flush=True)
    write_text(snakemake.output[0], pd.DataFrame(rows).to_csv(index=False))
