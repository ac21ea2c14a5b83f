"""Snakemake in forks of one process that has imported it: of a dry run, that is three quarters.

One line of standard input is one start: its arguments, directory, environment, and the files that
take what it prints. One line of standard output is its exit status.
"""

import json
import os
import sys

import snakemake.cli


def start(arguments, directory, environment, printed):
    """Become what `python -m snakemake` in a directory is."""
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in zip((0, 1, 2), (os.devnull, *printed), strict=True):
        os.dup2(os.open(path, os.O_RDWR), number)
    sys.path[0] = directory
    sys.argv = ["snakemake", *arguments]
    snakemake.cli.main()


for line in sys.stdin:
    child = os.fork()
    if child == 0:
        start(**json.loads(line))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
