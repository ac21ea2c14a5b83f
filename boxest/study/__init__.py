"""A study: its configuration, table of runs, outputs, and the files of its runs.

Everything except `boxest.study.history` is plain Python, for the Snakefile: every job on a cluster
imports it again, and the environment that runs Snakemake need not have numpy or pandas.
"""
