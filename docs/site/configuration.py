"""Write docs/configuration.md, the reference of all keys, from the schema of the configuration."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from boxest.study.schema import Schema

ROOT = Path(__file__).parent.parent.parent
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
PAGE = ROOT / "docs" / "configuration.md"

KINDS = {
    "integer": "whole number",
    "object": "mapping",
    "string": "text",
    "array": "list",
    "boolean": "`true`, `false`",
    "null": "`null`",
}


def page() -> str:
    """Return the reference of all keys of the configuration as Markdown, from the schema."""
    schema = Schema(SCHEMA).root
    lines = [
        "# Configuration reference",
        "",
        "For users who write a configuration and look up a key: all keys, with their allowed "
        "values and defaults.",
        "[Configuration](../config/README.md) shows how to use them, and "
        "[config.yaml](../config/config.yaml) gives the reasons for the paper's values.",
        "",
        "<!-- Generated from workflow/schemas/config.schema.yaml by `make docs`. -->",
    ]
    sections = dict(schema["properties"])
    single = {name: one for name, one in sections.items() if not _keys(schema, one)}
    lines += ["", "## At the top", "", *_table(schema, {"properties": single})]
    for name, one in sections.items():
        if name == "data":
            for source in schema["$defs"]["source"]["enum"]:
                part = schema["$defs"][source]
                lines += ["", f"## data of source: {source}", "", *_table(schema, part)]
        elif name not in single:
            lines += ["", f"## {name}", "", one["description"], ""]
            lines += _table(schema, _resolved(schema, one))
    return "\n".join(lines) + "\n"


def _resolved(schema: dict, part: dict) -> dict:
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return _resolved(schema, schema["$defs"][name]) | part if name else part


def _keys(schema: dict, part: dict) -> dict:
    return _resolved(schema, part).get("properties", {})


def _table(schema: dict, part: dict) -> list[str]:
    rows = [f"| `{name}` | {text} |" for name, text in _rows(schema, part)]
    return ["| key | meaning; *what it may be*, and its default |", "| --- | --- |", *rows]


def _rows(schema: dict, part: dict, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return each key with what is said of it, those of sections within too."""
    for name, one in part.get("properties", {}).items():
        one = _resolved(schema, one)
        if "properties" not in one or "description" in one:
            default = f"`{_yaml(one['default'])}`" if "default" in one else "none"
            default = "required" if name in part.get("required", ()) else f"default {default}"
            yield f"{prefix}{name}", f"{one['description']} *{_kind(schema, one)}*; {default}"
        yield from _rows(schema, one, f"{prefix}{name}.")


def _kind(schema: dict, one: dict) -> str:
    """Say in words what a value may be."""
    one = _resolved(schema, one)
    if "anyOf" in one:
        return ", or ".join(_kind(schema, choice) for choice in one["anyOf"])
    if "enum" in one:
        return ", ".join(f"`{value}`" for value in map(_yaml, one["enum"]))
    if one.get("pattern", "").startswith("^[^:{}]+"):
        return "`file.py:function`"
    # Only an axis of the grid may be several kinds of values.
    kinds = one.get("type", ["list", "one value", "null"])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return " or ".join(KINDS.get(kind, kind) + _limits(schema, one, kind) for kind in kinds)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _limits(schema: dict, one: dict, kind: str) -> str:
    """Say in words between which limits a number lies, or of what a list is."""
    if kind == "array" and "items" in one:
        n = f"{one['minItems']} " if one.get("minItems") == one.get("maxItems", 0) else ""
        return f" of {n}values, each {_kind(schema, one['items'])}"
    if kind not in ("integer", "number"):
        return ""
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    return "".join(f" {word} {one[key]:,}" for key, word in words.items() if key in one)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
