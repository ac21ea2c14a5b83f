# Functions of wildcards for the rules: data of a condition, runs of a job, captions.

DRAWN = config["data"]["source"] == "synthetic"


def data_of(wildcards):
    """Return the section `data` of the configuration, with the changes of a job's condition."""
    return images.of(config, wildcards.condition.rstrip("/"))


def drawn(wildcards):
    """Return the parameters of a shard of drawn boxes."""
    data = data_of(wildcards)
    return {
        "range": images.shard_ranges(data)[wildcards.shard],
        "scene": images.scene(data).options(),
        **{name: data[name] for name in ("seed", "image_size", "box_law")},
    }


def originals(wildcards):
    """Return the input files of a plan of the user's images."""
    if config["data"].get("render"):
        return f"{RESULTS}/rendered/boxes.csv"
    return sources.inputs(data_of(wildcards))


def plan(wildcards):
    """Return the plan of a shard of the user's images."""
    return [] if DRAWN else f"{RESULTS}/data/{wildcards.condition}images.csv"


def runs_of(job, wildcards):
    """Return the runs of a job."""
    return [RUNS[path.format(**wildcards)] for path in job.runs]


def part(job, split):
    """Return a function that returns the files of a part of a job's data set."""
    return lambda wildcards: shards(split, runs_of(job, wildcards)[0].condition)


def own_files(job):
    """Return a function that returns the names of the user's files that a job's runs need."""
    return lambda wildcards: sorted(
        {file for run in runs_of(job, wildcards) for file in run.files}
    )


def functions(job):
    """Return a function that returns the user's files of a job; changing them retrains its runs."""
    return lambda wildcards: [FILES[file] for file in own_files(job)(wildcards)]


def estimators(job):
    """Return a function that returns the runs of a job, with their saved states.

    The states are outside of all declared outputs, which Snakemake deletes when a job fails.
    """

    def given(wildcards):
        return [
            {
                "settings": run.settings,
                "seed": run.seed,
                "checkpoint": f"{RESULTS}/state/{run.state}.npz",
            }
            for run in runs_of(job, wildcards)
        ]

    return given


def expected_of(job):
    """Return a function that returns the expected description of the shards of a job."""
    return lambda wildcards: expected(runs_of(job, wildcards)[0].condition)


CAPTIONS = list(dict.fromkeys([*FIGURES, *TABLES]))


def template(name):
    """Return the text of a caption's template; as an input file, it would have an absolute path."""
    path = workflow.source_path(f"../report/{name.partition(',')[0]}.rst")
    with open(path, encoding="utf-8") as file:
        return file.read()
