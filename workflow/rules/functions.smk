# What rules ask for by wildcards: data of a condition, runs of a job, captions.

DRAWN = config["data"]["source"] == "synthetic"


def data_of(wildcards):
    """Return the section `data` of the configuration, or what the condition of a job makes of it."""
    return images.of(config, wildcards.condition.rstrip("/"))


def drawn(wildcards):
    """Return what a shard of drawn boxes is made from."""
    data = data_of(wildcards)
    return {
        "range": images.shard_ranges(data)[wildcards.shard],
        "scene": images.scene(data).options(),
        **{name: data[name] for name in ("seed", "image_size", "box_law")},
    }


def originals(wildcards):
    """Return the files that a plan of the user's images is made from."""
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
    """Return a function that gives a job the files of a part of its data set."""
    return lambda wildcards: shards(split, runs_of(job, wildcards)[0].condition)


def own_files(job):
    """Return a function that gives a job the names of the user's files that its runs need."""
    return lambda wildcards: sorted(
        {file for run in runs_of(job, wildcards) for file in run.files}
    )


def functions(job):
    """Return a function that gives a job the user's files: a change of them trains anew."""
    return lambda wildcards: [FILES[file] for file in own_files(job)(wildcards)]


def estimators(job):
    """Return a function that gives a job its runs, with what an interrupted one goes on from.

    That lies outside of all declared outputs, which Snakemake deletes when a job fails.
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
    """Return a function that says what the shards of a job must say of themselves."""
    return lambda wildcards: expected(runs_of(job, wildcards)[0].condition)


CAPTIONS = list(dict.fromkeys([*FIGURES, *TABLES]))


def template(name):
    """Return the text that a caption is made from. As a file, it would have an absolute path."""
    path = workflow.source_path(f"../report/{name.partition(',')[0]}.rst")
    with open(path, encoding="utf-8") as file:
        return file.read()
