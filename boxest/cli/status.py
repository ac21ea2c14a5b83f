"""``boxest status``: show the progress of a study."""

import click


@click.command()
@click.argument("folder", default=".")
@click.option("--once", is_flag=True, help="Print the table once and exit, for scripts.")
@click.option("--seconds", default=2.0, metavar="N", help="Seconds between updates.  [2]")
def status(folder: str, once: bool, seconds: float) -> None:
    """Show the progress of a running study.

    FOLDER holds the results of a study, or of several: then the newest are shown. It may lie on a
    cluster's file system. The table shows finished runs, current runs with epoch and loss,
    failures, and the time left.

    Example: boxest status results/paper
    """
    from boxest.study.watch import watch

    watch(folder, once=once, seconds=seconds)
