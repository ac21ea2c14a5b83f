# What the rules share: the configuration, the names of files, the settings of a run.

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from boxest import plan

validate(config, "../schemas/config.schema.yaml")
try:
    plan.check(config)
except ValueError as error:
    raise WorkflowError(str(error))

RESULTS = config["results"].rstrip("/")
SHARDS = plan.shard_ranges(config["data"])
RUN = "batch_size~{batch_size}/learning_rate~{learning_rate}/seed~{seed}"
# Outside of all declared outputs: Snakemake leaves it alone.
COMPILED = (
    f"{RESULTS}/compiled" if config["training"]["share_compiled_programs"] else None
)
ENVIRONMENT = "../../environment.yml"


wildcard_constraints:
    batch_size=r"\d+",
    learning_rate=r"[0-9.e+-]+",
    seed=r"\d+",
    shard=r"(train|validation|test)-\d+",


def shards(*splits):
    """Return the files of parts of the data set."""
    return [
        f"{RESULTS}/data/{name}.h5" for name in SHARDS if SHARDS[name].split in splits
    ]


def estimator(batch_size, learning_rate, seed, **schedule):
    """Return the parameters of the BoxRegressor of one run."""
    training = config["training"]
    return {
        "network": config["network"]["name"],
        "output_activation": config["network"]["output_activation"],
        "loss": training["loss"],
        "optimizer": training["optimizer"],
        "engine": training["engine"],
        "xla": training["xla"],
        "epochs": training["epochs"],
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "random_state": int(seed),
        **schedule,
    }


def grid_estimators(seeds=None):
    """Return the runs of a job of the grid: fixed rate, early stopping (§3)."""
    schedule = {
        "plateau_patience": None,
        "stop_patience": config["training"]["stop_patience"],
    }

    def estimators(wildcards):
        cell = wildcards.batch_size, wildcards.learning_rate
        return [
            estimator(*cell, seed, **schedule) for seed in seeds or [wildcards.seed]
        ]

    return estimators


def best_estimators(wildcards):
    """Return a run of the best parametrization: all epochs, the rate reduced on a plateau (§5.1)."""
    best = config["best"]
    schedule = {name: best[name] for name in ("plateau_patience", "plateau_factor")}
    run = best["batch_size"], best["learning_rate"], wildcards.seed
    return [estimator(*run, stop_patience=None, **schedule)]


def grid(pattern):
    """Return a file of every run of the grid."""
    return expand(
        pattern,
        batch_size=config["grid"]["batch_size"],
        learning_rate=config["grid"]["learning_rate"],
        seed=range(config["grid"]["seeds"]),
    )


def best(pattern):
    """Return a file of every run of the best parametrization."""
    return expand(pattern, seed=range(config["best"]["seeds"]))


def figure(name, number, shows):
    """Declare a figure: the PNG with its caption in the report, and the PDF beside it."""
    stem = f"{RESULTS}/figures/{name}"
    labels = {"figure": number, "shows": shows}
    caption = f"../report/{name}.rst"
    png = report(f"{stem}.png", caption=caption, category="Figures", labels=labels)
    return [png, f"{stem}.pdf"]


def table(name, shows):
    """Declare a table, with its caption in the report."""
    path = f"{RESULTS}/tables/{name}.csv"
    caption = f"../report/{name}.rst"
    return report(
        path, caption=caption, category="Tables", labels={"table": name, "shows": shows}
    )


def how_it_differs_from_the_paper():
    """Say where this study is not the paper's, as far as the paper says; None where it is."""
    data, training = config["data"], config["training"]
    ours = {
        "epochs": training["epochs"],
        "images": data["images"],
        "px": data["image_size"],
        "trained on": training["loss"],
    }
    theirs = {"epochs": 30, "images": 10_000, "px": 128, "trained on": "inclusive_iou"}
    differing = [name for name in ours if ours[name] != theirs[name]]
    if not differing:
        return None

    def text(study):
        return ", ".join(f"{name} {study[name]}" for name in differing)

    return f"ours: {text(ours)}; paper: {text(theirs)}"
