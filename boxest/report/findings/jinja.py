"""The templates of the findings, filled in by Jinja."""

from typing import Any

import jinja2

from boxest.analysis import text


def rendered(template: str, **values: Any) -> str:
    """Fill in a template of this package; its filters write numbers and tables."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("boxest.report.findings"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = (text.number, text.loss, text.plain, text.plural, text.table)
    environment.filters |= {one.__name__: one for one in written}
    environment.filters["join_lines"] = "\n".join
    return environment.get_template(template).render(values)
