"""``python -m boxest``: the command `boxest`, in case it is not on the path."""

from boxest.cli import boxest

if __name__ == "__main__":
    boxest(prog_name="boxest")
