"""What a study found, in words: a page and a summary, made from its tables alone."""

from boxest.report.findings.page import opening, page
from boxest.report.findings.reference import publish, readme
from boxest.report.findings.study import Study, read, with_others
from boxest.report.findings.summary import numbers

__all__ = [
    "Study",
    "numbers",
    "opening",
    "page",
    "publish",
    "read",
    "readme",
    "with_others",
]
