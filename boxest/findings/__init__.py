"""What a study found, in words: a page and a summary, made from its tables alone."""

from boxest.findings.architectures import numbers as architecture_numbers
from boxest.findings.page import page
from boxest.findings.reference import publish, readme
from boxest.findings.study import Study, others, read
from boxest.findings.summary import numbers

__all__ = [
    "Study",
    "architecture_numbers",
    "numbers",
    "others",
    "page",
    "publish",
    "read",
    "readme",
]
