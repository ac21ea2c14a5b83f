"""``boxest new``: create a study of your own."""

import click


@click.command()
@click.argument("folder")
@click.option("--photographs", metavar="FOLDER", help="Photographs to learn from.  [drawn boxes]")
@click.option("--boxes", metavar="TABLE", help="Their boxes, in any format of convert.")
def new(folder: str, photographs: str | None, boxes: str | None) -> None:
    """Create a study of your own, ready for snakemake.

    FOLDER gets a commented configuration, a Snakefile, a profile and a README. The workflow is that
    of the installed package.

    Example: boxest new cups --photographs photos --boxes boxes.csv
    """
    from boxest.study.creation import create

    create(folder, photographs, boxes)
    click.echo(f"Created {folder}. Check {folder}/config/config.yaml, then run:")
    click.echo(f"  cd {folder} && snakemake")
