"""``boxest status``: how far a study is."""

import click


@click.command()
@click.argument("folder", default=".")
@click.option("--once", is_flag=True, help="Print the table and end, for scripts.")
@click.option("--seconds", default=2.0, metavar="N", help="Between two looks.  [2]")
def status(folder: str, once: bool, seconds: float) -> None:
    """Show how far a study is, while it runs.

    FOLDER holds the results of a study, here or on a file system of a cluster.
    Shown are what is done, runs with epoch and loss, failures, and time left.

    Example: boxest status results/paper
    """
    from boxest.study.watch import watch

    watch(folder, once=once, seconds=seconds)
