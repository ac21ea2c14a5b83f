# What the rules share: the configuration, the names of files, the settings of a run.

from snakemake.exceptions import WorkflowError
from snakemake.utils import validate

from boxest import conditions, plan

validate(config, "../schemas/config.schema.yaml")
for condition in config["architectures"]["conditions"]:
    study = config | {"data": conditions.data(config, condition)}
    try:
        validate(study, "../schemas/config.schema.yaml")
    except WorkflowError as error:
        raise WorkflowError(f"config: architectures.conditions.{condition}: {error}")
try:
    plan.check(config)
except ValueError as error:
    raise WorkflowError(str(error))

RESULTS = config["results"].rstrip("/")
SHARDS = plan.shard_ranges(config["data"])
# What the images show beside the box, a setting of jobs only where it is not the paper's.
SCENE = plan.scene(config["data"]).options()
SCENE = {"scene": SCENE} if SCENE else {}
RUN_NAMES = ("batch_size", "learning_rate", "seed")
RUN = "batch_size~{batch_size}/learning_rate~{learning_rate}/seed~{seed}"
STATE = "batch_size~{batch_size},learning_rate~{learning_rate},seed~{seed}"
# Of a variant of what the paper leaves open.
VARIANT = (
    "output_activation~{output_activation}/loss~{loss}/optimizer~{optimizer}/"
    "plateau_patience~{plateau_patience}"
)
# Outside of all declared outputs: Snakemake leaves it alone.
COMPILED = (
    f"{RESULTS}/compiled" if config["training"]["share_compiled_programs"] else None
)
ENVIRONMENT = "../../environment.yml"
# Whose times count.
TIMES = config["findings"]["times"] or [RESULTS]


wildcard_constraints:
    batch_size=r"\d+",
    learning_rate=r"[0-9.e+-]+",
    seed=r"\d+",
    shard=r"(train|validation|test)-\d+",
    output_activation=r"\w+",
    loss=r"\w+",
    optimizer=r"\w+",
    plateau_patience=r"\d+|None",
    condition=r"\w+",
    network=r"\w+",


def told_of(kind, table):
    """Return a table of every study that the page of findings tells of."""
    return [f"{study}/tables/{table}.csv" for study in config["findings"][kind]]


def data_of(wildcards):
    """Return the section `data` of the configuration, or what the condition of a job makes of it."""
    return conditions.data(config, wildcards.get("condition"))


def of_data(name):
    """Return a function that gives a job a key of its section `data`."""
    return lambda wildcards: data_of(wildcards)[name]


# What a shard is made from.
SHARD_PARAMETERS = {
    "range": lambda wildcards: plan.shard_ranges(data_of(wildcards))[wildcards.shard],
    **{name: of_data(name) for name in ("seed", "image_size", "box_law")},
}


def shards(*splits):
    """Return the files of parts of the data set."""
    return [
        f"{RESULTS}/data/{name}.h5" for name in SHARDS if SHARDS[name].split in splits
    ]


def expected(split):
    """Return a function that says what shards of a part of the data set must say of themselves."""
    return lambda wildcards: plan.expected(data_of(wildcards), split)


def estimator(batch_size, learning_rate, seed, *, state, **schedule):
    """Return the parameters of the BoxRegressor of one run.

    What an interrupted run goes on from lies outside of all declared outputs, which Snakemake
    deletes when a job fails.
    """
    training = config["training"]
    return {
        "network": config["network"]["name"],
        "output_activation": config["network"]["output_activation"],
        "loss": training["loss"],
        "optimizer": training["optimizer"],
        "engine": training["engine"],
        "xla": training["xla"],
        "restore_best_weights": False,
        "schedule": "plateau",
        "warmup_epochs": 0,
        "epochs": training["epochs"],
        "batch_size": int(batch_size),
        "learning_rate": float(learning_rate),
        "random_state": int(seed),
        "checkpoint": f"{RESULTS}/state/{state}.npz",
        **schedule,
    }


def grid_estimator(batch_size, learning_rate, seed):
    """Return the parameters of a run of the grid: fixed rate, early stopping (§3)."""
    run = {"batch_size": batch_size, "learning_rate": learning_rate, "seed": seed}
    return estimator(
        **run,
        state=STATE.format(**run),
        plateau_patience=None,
        stop_patience=config["training"]["stop_patience"],
    )


def grid_estimators(seeds=None):
    """Return the runs of a job of the grid."""

    def estimators(wildcards):
        cell = wildcards.batch_size, wildcards.learning_rate
        return [grid_estimator(*cell, seed) for seed in seeds or [wildcards.seed]]

    return estimators


def rate_estimators(wildcards):
    """Return the runs of the grid that a rate is searched for, one per seed."""
    start, seeds = config["rates"]["start"], range(config["rates"]["seeds"])
    return [
        grid_estimator(wildcards.batch_size, start, seed) | {"checkpoint": None}
        for seed in seeds
    ]


def best_estimators(wildcards):
    """Return a run of the best parametrization: all epochs, the rate reduced on a plateau (§5.1)."""
    best = config["best"]
    run = best["batch_size"], best["learning_rate"], wildcards.seed
    state = f"best,seed~{wildcards.seed}"
    return [estimator(*run, state=state, stop_patience=None, **plateau())]


def plateau():
    """Return when the rate is reduced, and how far (§5.1)."""
    return {
        name: config["best"][name] for name in ("plateau_patience", "plateau_factor")
    }


def variant_runs():
    """Return the runs of a variant: its cells, each with all seeds."""
    seeds = range(config["variants"]["seeds"])
    return [(*cell, seed) for cell in config["variants"]["cells"] for seed in seeds]


def variant_files(name):
    """Return a file of every run of a variant."""
    runs = [RUN.format(**dict(zip(RUN_NAMES, run))) for run in variant_runs()]
    return [f"{RESULTS}/variants/{VARIANT}/{run}/{name}" for run in runs]


def variant_estimators(wildcards):
    """Return the runs of a variant: as in the grid, but for what makes it one."""
    settings = {name: getattr(wildcards, name) for name in plan.VARIANT}
    patience = settings["plateau_patience"]
    settings["plateau_patience"] = None if patience == "None" else int(patience)
    settings["plateau_factor"] = config["best"]["plateau_factor"]
    settings["stop_patience"] = config["training"]["stop_patience"]
    variant = ",".join(f"{name}~{getattr(wildcards, name)}" for name in plan.VARIANT)
    return [
        estimator(
            *run,
            state=f"{variant},{STATE.format(**dict(zip(RUN_NAMES, run)))}",
            **settings,
        )
        for run in variant_runs()
    ]


def variants(files):
    """Return files of every variant."""
    return expand(files, **{name: config["variants"][name] for name in plan.VARIANT})


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


def per_attempt(amount):
    """Ask for more at each retry: what ran out of time or memory once does not do so again."""

    def resource(wildcards, attempt):
        return attempt * amount

    return resource
