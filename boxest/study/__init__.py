"""A study: its configuration, its table of runs, what it makes, and the files of its runs.

All but `boxest.study.history` is plain Python, for the Snakefile: every job of a cluster reads it
again, and the environment that runs Snakemake need not hold numpy or pandas.
"""
