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
# What the rules of the study declare: figures, tables and what they show, captions.
FIGURES, TABLES, CAPTIONS = [], {}, set()


def caption(name):
    """Return the caption of a figure or table: ../report/<name>.rst with the study's numbers."""
    CAPTIONS.add(name)
    return os.path.abspath(f"{RESULTS}/captions/{name}.rst")


def figure(name, number, shows, section):
    """Declare a figure: the PNG with its caption in the report, and the PDF beside it."""
    FIGURES.append(name)
    stem = f"{RESULTS}/figures/{name}"
    # One label: of a second one, Snakemake's report makes a switch in a section of two results, and
    # then shows neither.
    labels = {"figure": f"{number}: {shows}"}
    png = report(f"{stem}.png", caption=caption(name), category=section, labels=labels)
    return [png, f"{stem}.pdf"]


def table(name, shows):
    """Declare a table; the report has its page, which sorts."""
    TABLES[name] = shows
    return f"{RESULTS}/tables/{name}.csv"


def table_page(name, shows):
    """Declare the page of a table, with its caption in the report."""
    page = f"{RESULTS}/tables/{name}.html"
    labels = {"table": name, "shows": shows}
    return report(page, caption=caption(name), category=TABLE, labels=labels)
