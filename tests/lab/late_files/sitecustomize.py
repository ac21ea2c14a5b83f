"""Show this process the results of a study late, as a network file system may.

Python imports this at its start where the directory is on PYTHONPATH. The processes that it starts
see all files at once, like the node that wrote them.
"""

import os
import stat
import time

SECONDS = float(os.environ.pop("FILES_LATE_BY", "0"))


def late(look):
    def look_late(path, *arguments, **options):
        found = look(path, *arguments, **options)
        young = time.time() - found.st_ctime < SECONDS
        if young and stat.S_ISREG(found.st_mode) and "results/" in os.fsdecode(path):
            raise FileNotFoundError(2, "not yet seen", path)
        return found

    return look_late


if SECONDS:
    os.stat, os.lstat = late(os.stat), late(os.lstat)
