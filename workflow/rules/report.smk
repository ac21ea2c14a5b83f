# What the report shows: sections, figures, tables and their captions.

import os

# The report's sections, in the order of the paper.
FINDINGS, PROBLEM, ACCURACY, TIME, BEST, TABLE = (
    "1 Findings",
    "2 Problem (§2)",
    "3 Accuracy (§3.1)",
    "4 Learning time (§3.2)",
    "5 Towards improvement (§5)",
    "6 Tables",
)
# What the rules of the study declare: figures, tables and what they show, captions. The rules of
# architectures.smk declare their own.
FIGURES, TABLES, CAPTIONS = [], {}, set()


def caption(name, captions=CAPTIONS):
    """Return the caption of a figure or table: ../report/<name>.rst with the study's numbers."""
    captions.add(name)
    return os.path.abspath(f"{RESULTS}/captions/{name}.rst")


def figure(name, number, shows, section, figures=FIGURES, captions=CAPTIONS):
    """Declare a figure: the PNG with its caption in the report, and the PDF beside it."""
    figures.append(name)
    stem = f"{RESULTS}/figures/{name}"
    # One label: of a second one, Snakemake's report makes a switch in a section of two results, and
    # then shows neither.
    labels = {"figure": f"{number}: {shows}"}
    told = caption(name, captions)
    png = report(f"{stem}.png", caption=told, category=section, labels=labels)
    return [png, f"{stem}.pdf"]


def table(name, shows, tables=TABLES):
    """Declare a table; the report has its page, which sorts."""
    tables[name] = shows
    return f"{RESULTS}/tables/{name}.csv"


def table_page(name, shows, captions=CAPTIONS):
    """Declare the page of a table, with its caption in the report."""
    page = f"{RESULTS}/tables/{name}.html"
    labels = {"table": name, "shows": shows}
    told = caption(name, captions)
    return report(page, caption=told, category=TABLE, labels=labels)
