"""``boxest new``: a study of one's own."""

import click


@click.command()
@click.argument("folder")
@click.option("--photographs", metavar="FOLDER", help="Learn from these.  [drawn boxes]")
@click.option("--boxes", metavar="TABLE", help="Their boxes, in any format of convert.")
def new(folder: str, photographs: str | None, boxes: str | None) -> None:
    """Make a study of your own, ready for snakemake.

    FOLDER gets a configuration with comments, a Snakefile, a profile and a
    README. The workflow is that of the installed package.

    Example: boxest new cups --photographs photos --boxes boxes.csv
    """
    from boxest.study.creation import create

    create(folder, photographs, boxes)
    click.echo(f"{folder} is there. Look at {folder}/config/config.yaml, then:")
    click.echo(f"  cd {folder} && snakemake")
