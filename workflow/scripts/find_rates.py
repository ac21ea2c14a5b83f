"""Find a learning rate for a batch size, by each method and with each seed."""

from boxest import logs, runtime
from boxest.files import write_text

with logs.to_file(snakemake.log[0]):
    runtime.prepare(
        snakemake.threads,
        gpus=snakemake.resources.get("gpu", 0),
        compiled=snakemake.params.compiled,
    )

    import pandas as pd

    from boxest import BoxRegressor, find_learning_rate, plan, shards

    train, validation = (
        shards.load(snakemake.input[part], plan.expected(snakemake.config["data"], part))
        for part in ("train", "validation")
    )
    print(f"device: {runtime.device()}", flush=True)
    magnitudes = {name: snakemake.params.rates[name] for name in ("start", "epochs")}
    rows = []
    for parameters in snakemake.params.estimators:
        for method, options in {"range_test": {}, "magnitudes": magnitudes}.items():
            search = find_learning_rate(
                BoxRegressor.paper(**parameters),
                *train,
                validation_data=validation,
                method=method,
                **options,
            )
            row = {"batch_size": parameters["batch_size"], "method": method}
            row |= {"seed": parameters["random_state"], "found_rate": search.learning_rate}
            rows.append(row | {name: getattr(search, name) for name in ("epochs", "seconds")})
            print(rows[-1], flush=True)
    write_text(snakemake.output[0], pd.DataFrame(rows).to_csv(index=False))
