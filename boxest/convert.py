"""The former name of ``boxest convert``: ``python -m boxest.convert`` still works."""

import sys
from collections.abc import Sequence

# Options that took several values, separated by blanks.
_SEVERAL = ("--size", "--split", "--columns")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``boxest convert`` and exit with its status."""
    from boxest.cli import boxest

    print("boxest: this command is called `boxest convert` now.", file=sys.stderr)
    given = _joined(sys.argv[1:] if arguments is None else arguments)
    boxest(["convert", *given], prog_name="boxest")


def _joined(words: Sequence[str]) -> list[str]:
    """Join the values of an option with commas.

    Examples
    --------
    >>> _joined(["a", "b", "out", "--size", "48", "64", "--colour"])
    ['a', 'b', 'out', '--size', '48,64', '--colour']
    """
    result: list[str] = []
    behind: str | None = None
    for word in words:
        if word.startswith("--"):
            behind = None
        if behind in _SEVERAL and result[-1] != behind:
            result[-1] += f",{word}"
        else:
            result.append(word)
        behind = word if word.startswith("--") else behind
    return result


if __name__ == "__main__":
    main()
