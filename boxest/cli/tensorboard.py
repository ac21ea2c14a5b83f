"""``boxest tensorboard``: a study in the form that TensorBoard reads."""

import click


@click.command()
@click.argument("results")
@click.option("-o", "--out", metavar="FOLDER", help="Where to.  [RESULTS/tensorboard]")
def tensorboard(results: str, out: str | None) -> None:
    """Write the runs of a study for TensorBoard.

    RESULTS is what the study left, such as results/quick. The page HPARAMS of
    TensorBoard compares the runs, SCALARS has their losses.

    Example: boxest tensorboard results/quick
    """
    from boxest.report import tensorboard as report

    folder = report.write(results, out)
    click.echo(f"See it with: tensorboard --logdir {folder}")
