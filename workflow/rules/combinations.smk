# What the rules of networks and conditions share: the runs of a combination, and their files.

# Of a network on data of a condition.
COMBINATION = (
    "condition~{condition}/network~{network}/loss~{loss}/optimizer~{optimizer}"
)
# What the rules declare, as those of the study do in report.smk.
COMPARED = {"figures": [], "tables": {}, "captions": set()}


def condition_shards(split):
    """Return a function that gives the files of a part of the data set under a condition."""

    def files(wildcards):
        ranges = plan.shard_ranges(data_of(wildcards))
        names = [name for name in ranges if ranges[name].split == split]
        return [f"{RESULTS}/data/{wildcards.condition}/{name}.h5" for name in names]

    return files


def combination_estimators(wildcards):
    """Return the runs of a combination, a seed each: all epochs, the rate reduced on a plateau."""
    section, names = config["architectures"], conditions.COMBINATION
    settings = {name: getattr(wildcards, name) for name in names[1:]}
    rate = conditions.learning_rate(section, wildcards.network, wildcards.optimizer)
    combination = ",".join(f"{name}~{getattr(wildcards, name)}" for name in names)
    return [
        estimator(
            section["batch_size"],
            rate,
            seed,
            state=f"{combination},seed~{seed}",
            stop_patience=None,
            epochs=section["epochs"],
            **settings,
            **plateau(),
        )
        for seed in range(section["seeds"])
    ]


def combination_files(name):
    """Return a file of every run of a combination."""
    seeds = range(config["architectures"]["seeds"])
    pattern = f"{RESULTS}/architectures/{COMBINATION}/seed~{{seed}}/{name}"
    return expand(pattern, seed=seeds, allow_missing=True)


def combined(name):
    """Return a file of every run of every combination."""
    one = combination_files(name)
    every = conditions.combinations(config["architectures"])
    return [path.format(**values) for values in every for path in one]


def compared_figure(name, shows, number="beyond"):
    """Declare a figure of combinations."""
    own = {kind: COMPARED[kind] for kind in ("figures", "captions")}
    return figure(name, number, shows, BEST, **own)


def compared_page(name, shows):
    """Declare the page of a table of combinations."""
    return table_page(name, shows, COMPARED["captions"])


def compared_outputs():
    """Declare tables and figures; those by condition only where there are several."""
    tables = {
        "architecture_runs": "a row per run, on its test set",
        "architectures": "combinations, by their rank",
    }
    figures = {
        "dots": ("architectures", "test losses of networks and losses"),
        "histogram": ("architectures_by_side", "errors by smallest side", "Fig. 6"),
        "scatter": ("architectures_by_size", "errors by width and height", "Fig. 7"),
    }
    if len(config["architectures"]["conditions"]) > 1:
        tables["conditions"] = "test losses by condition and network"
        figures["survival"] = ("conditions", "test losses by condition and network")
    declared = {
        name: table(name, shows, COMPARED["tables"]) for name, shows in tables.items()
    }
    return declared | {name: compared_figure(*one) for name, one in figures.items()}
