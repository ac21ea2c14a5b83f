# What the rules share: the configuration, file names, resources of jobs.

import sys
from importlib.util import find_spec

from snakemake.exceptions import WorkflowError

HERE = workflow.current_basedir
# A workflow read from a git repository has no folder.
IN_A_FOLDER = os.path.isdir(str(HERE))
# In a clone, the package next to this folder need not be installed.
CLONE = os.path.abspath(os.path.join(str(HERE), "../.."))
if os.path.exists(os.path.join(CLONE, "boxest", "__init__.py")):
    sys.path.insert(0, CLONE)

try:
    from boxest.data import sources
    from boxest.study import configuration, deviations, outputs, run_table, status
    from boxest.study import data as images
except ImportError as error:
    raise WorkflowError(
        f"{error}: the workflow needs the package boxest beside Snakemake. Install the one of the "
        "same commit, `pip install git+<its repository>@<its tag>`, or start in a clone of it."
    )

SCHEMA = configuration.Schema(workflow.source_path("../schemas/config.schema.yaml"))
# Files that the configuration names are in its folder.
FOLDERS = [os.path.dirname(os.path.abspath(path)) for path in workflow.configfiles]
# Each source of images has its own keys, so an overlay that names a source replaces them all.
overlaid = workflow.config_settings.overwrite_config.get("data")
if isinstance(overlaid, dict) and "source" in overlaid:
    config["data"] = overlaid
try:
    PAPER = configuration.read({}, SCHEMA)
    config = configuration.read(config, SCHEMA, FOLDERS)
    # The user's files of networks, losses and optimizers.
    FILES = configuration.own_files(config, FOLDERS)
except ValueError as error:
    raise WorkflowError(str(error))

RESULTS = config["results"].rstrip("/")
EXECUTION = config["execution"]
# Models that only Keras can save.
MODEL = "model.keras" if FILES else "model.boxest"
RUNS = run_table.every(config)
GRID = [run.path for run in run_table.runs(config)]
BEST = [run.path for run in run_table.best(config)]
AXES = run_table.axes(config)
# Searches for a rate are compared with the cells, so they have their settings and data.
SEARCHED = RUNS[GRID[0]]
# The reference condition.
FIRST = run_table.shown(config).condition
# What differs from the paper's study, in words, and whether its claims get verdicts.
DIFFERENCES = deviations.note(config, PAPER)
VERDICTS = deviations.is_the_papers(config, PAPER)
TABLES = outputs.made(outputs.TABLES, config)
FIGURES = outputs.made(outputs.FIGURES, config)
ENVIRONMENT = "../envs/boxest.yml"


def script_path(name):
    """Return the path of a script, here or in a local git repository.

    For a repository, Snakemake, at least up to 9.27, looks for relative paths next to the user's
    Snakefile.
    """
    path = f"../scripts/{name}.py"
    address = str(HERE.join(path))
    return address if address.startswith("git+file:") else path


def check_cells():
    """Check the cells as BoxRegressor does, if it can be imported beside Snakemake."""
    try:
        from boxest.study import estimators
    except ImportError:
        return
    size = config["data"].get("image_size") or 64
    height, width = size if isinstance(size, list) else (size, size)
    cells = [run.settings for run in RUNS.values() if run.seed == 0]
    try:
        estimators.check(
            cells, FILES, (height, width, config["data"].get("channels") or 1)
        )
    except ValueError as error:
        raise WorkflowError(str(error))


if workflow.is_main_process:
    check_cells()
    if EXECUTION["fan_out"] == "batch_size" and not (
        workflow.deployment_settings.deployment_method or find_spec("jax")
    ):
        raise WorkflowError(
            "config: execution.fan_out: batch_size needs JAX, which is not installed: "
            "pip install 'boxest[jax]', use --use-conda, or write fan_out: run."
        )


wildcard_constraints:
    condition=r"(\w+/)?",
    shard=r"(train|validation|test)-\d+",
    seed=r"\d+",


def compiled(wildcards, input):
    """Return the folder of compiled programs, if they are shared.

    It does not change the results. With this second argument, Snakemake does not count a parameter
    among the reasons to repeat a job.
    """
    # Outside of all declared outputs, so Snakemake does not delete it.
    return f"{RESULTS}/compiled" if EXECUTION["share_compiled_programs"] else None


def per_attempt(amount):
    """Request more at each retry, so that a job does not run out of time or memory again."""

    def resource(wildcards, attempt):
        return attempt * amount

    return resource


# The resources of a job that trains nothing.
SMALL = {"mem_mb": per_attempt(1000), "runtime": per_attempt(10)}


def data_folder(condition):
    """Return the folder of the shards of a condition in data; empty for the unchanged data."""
    return (
        f"{condition}/" if condition and config["data"]["conditions"][condition] else ""
    )


def shards(split, condition=None):
    """Return the files of a part of the data set."""
    data = images.of(config, condition)
    if data["source"] == "shards":
        return sources.files(data)[split]
    folder = f"{RESULTS}/data/{data_folder(condition)}"
    return [f"{folder}{name}.h5" for name in images.shard_names(data, split)]


def expected(condition=None):
    """Return the expected description of the shards of each part."""
    data = images.of(config, condition)
    return {split: images.expected(data, split) for split in images.PARTS}


def of_runs(paths, name):
    """Return one file of each of the runs."""
    return [f"{RESULTS}/runs/{path}/{name}" for path in paths]


def captioned(kind, name, label, section):
    """Mark a file for the report, with its caption ../report/<name>.rst and the study's numbers."""
    # Figures have only one label: in a section with two results, Snakemake's report turns a second
    # label into a switch, and then shows neither. The path of the caption is absolute, because
    # Snakemake looks for captions in the folder of the workflow.
    caption = os.path.abspath(f"{RESULTS}/captions/{os.path.splitext(name)[0]}.rst")
    return report(
        f"{RESULTS}/{kind}/{name}",
        caption=caption if IN_A_FOLDER else None,
        category=outputs.section(section, config),
        labels=label,
    )


def figure(name):
    """Declare a figure: the PNG with its caption in the report, and the PDF."""
    output = FIGURES[name]
    page = name.partition(",")[2]
    number = output.number or "beyond"
    number = f"{number}: " if config["data"]["source"] == "synthetic" else ""
    shows = f"{number}{output.shows}{f' ({page})' if page else ''}"
    png = captioned("figures", f"{name}.png", {"figure": shows}, output.section)
    return [png, f"{RESULTS}/figures/{name}.pdf"]


def figures(*names):
    """Declare the figures among these that the study makes."""
    made = [name for name in FIGURES if name.partition(",")[0] in names]
    return [path for name in made for path in figure(name)]


def tables(*names):
    """Declare the tables among these that the study makes."""
    return {name: f"{RESULTS}/tables/{name}.csv" for name in names if name in TABLES}


EVERY_TABLE = list(tables(*TABLES).values())
