"""``boxest tensorboard``: write a study in the format of TensorBoard."""

import click


@click.command()
@click.argument("results")
@click.option("-o", "--out", metavar="FOLDER", help="Output folder.  [RESULTS/tensorboard]")
def tensorboard(results: str, out: str | None) -> None:
    """Write the runs of a study for TensorBoard.

    RESULTS is the folder of results of the study, such as results/quick. In TensorBoard, HPARAMS
    compares the runs, and SCALARS shows their losses.

    Example: boxest tensorboard results/quick
    """
    from boxest.report import tensorboard as report

    folder = report.write(results, out)
    click.echo(f"View it with: tensorboard --logdir {folder}")
