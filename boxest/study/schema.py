"""The schema of the configuration: allowed values and default of each key."""

import contextlib
import copy
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from boxest.networks import NETWORKS

# Values in messages are cut at this length, because pages of text would hide the problem.
LONGEST = 300


class ConfigurationError(ValueError):
    """An invalid key or value in a configuration."""


class Schema:
    """The schema of the configuration: allowed values and default of each key.

    Parameters
    ----------
    path : path-like
        A YAML file, ``workflow/schemas/config.schema.yaml``.
    """

    def __init__(self, path: str | os.PathLike):
        import jsonschema
        import yaml

        self._yaml = yaml
        self.root = yaml.safe_load(Path(path).read_text("utf-8"))
        # It would choose another validator than the one below.
        self.root.pop("$schema")
        self.parameters = self.root["$defs"]["parameters"]["properties"]
        self.parameters["network"]["anyOf"][0] = {"enum": sorted(NETWORKS)}
        # 16.0 is not a batch size, and .nan is not a rate.
        kinds = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
            {
                "integer": lambda _, value: _is_integer(value),
                "number": lambda _, value: _is_real(value),
            }
        )
        validator = jsonschema.validators.extend(
            jsonschema.Draft202012Validator, type_checker=kinds
        )
        self._validator = validator(self.root)
        self._relevance = jsonschema.exceptions.relevance

    def of_source(self, source: str) -> "Schema":
        """Return the schema for the data of a source; each source has other keys."""
        rule, other = self.root["$defs"]["source"], copy.copy(self)
        self.check(source, "data.source", rule)
        data = self.root["properties"]["data"] | {"$ref": f"#/$defs/{source}"}
        other.root = self.root | {"properties": self.root["properties"] | {"data": data}}
        other._validator = self._validator.evolve(schema=other.root)
        return other

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a part of the schema, with its references resolved."""
        name = schema.get("$ref", "").removeprefix("#/$defs/")
        return self.root["$defs"][name] | schema if name else schema

    def completed(self, value: Any, schema: Mapping[str, Any] | None = None) -> Any:
        """Complete a value with defaults, and convert text to the type in the schema.

        Snakemake passes nested values of its option ``--config`` as text.
        """
        schema = self.resolved(self.root if schema is None else schema)
        for choice in schema.get("anyOf", ()):
            completed = self.completed(value, choice)
            if self.accepts(completed, choice):
                return completed
        value = self._read(value, schema)
        if isinstance(value, Mapping):
            known = schema.get("properties", {})
            # In the order of the schema, independently of the overlays.
            names = [name for name in known if name in value or self._has_default(known[name])]
            return {
                name: self.completed(value[name], known.get(name, {}))
                if name in value
                else self._default(known[name])
                for name in dict.fromkeys([*names, *value])
            }
        if isinstance(value, list):
            return [self.completed(one, schema.get("items", {})) for one in value]
        return value

    def accepts(self, value: Any, schema: Mapping[str, Any]) -> bool:
        """Return whether a value is valid for a part of the schema."""
        return self._validator.evolve(schema=self._with_definitions(schema)).is_valid(value)

    def check(self, value: Any, where: str = "", schema: Mapping[str, Any] | None = None) -> None:
        """Raise `ConfigurationError` unless a value is valid."""
        schema = self.root if schema is None else self._with_definitions(schema)
        if errors := list(self._validator.evolve(schema=schema).iter_errors(value)):
            error = max(errors, key=self._relevance)
            name = ".".join(filter(None, [where, *map(str, error.absolute_path)]))
            raise ConfigurationError(f"config: {name}{': ' if name else ''}{self._message(error)}")

    def _with_definitions(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {"$defs": self.root["$defs"], **schema}

    def _has_default(self, schema: Mapping[str, Any]) -> bool:
        schema = self.resolved(schema)
        return "default" in schema or schema.get("type") == "object"

    def _default(self, schema: Mapping[str, Any]) -> Any:
        schema = self.resolved(schema)
        if "default" in schema:
            return copy.deepcopy(schema["default"])
        return self.completed({}, schema)

    def _read(self, value: Any, schema: Mapping[str, Any]) -> Any:
        """Parse a text if the schema does not expect a text."""
        kinds = schema.get("type", ())
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if "number" in kinds and _is_integer(value):
            with contextlib.suppress(OverflowError):  # The number is refused later.
                value = float(value)
            return value
        wanted = kinds or [type(one).__name__ for one in schema.get("enum", ())]
        is_text = "string" in kinds and "number" not in kinds
        if not isinstance(value, str) or not wanted or is_text:
            return value
        if value in schema.get("enum", ()) or value == schema.get("const"):
            return value
        try:
            # YAML reads 1e-3 as a text.
            return float(value) if "number" in kinds else self._yaml.safe_load(value)
        except (ValueError, self._yaml.YAMLError):
            return value

    def _message(self, error: Any) -> str:
        """Describe in one or two lines what is wrong with a value."""
        text = error.message
        if error.validator == "anyOf":
            choices = [one for part in error.validator_value for one in part.get("enum", ())]
            one_of = f"one of {choices}, nor what else it may be" if choices else "what it may be"
            text = f"{error.instance!r} is not {one_of}"
        if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
            known = error.schema.get("properties", {})
            unknown = [name for name in error.instance if name not in known]
            if unknown and known:
                text = f"unknown key {unknown[0]!r}{nearest(str(unknown[0]), known)}"
        if len(text) > LONGEST:
            text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
        description = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
        return f"{text}. {description}".rstrip()


def nearest(name: str, known: Iterable[str]) -> str:
    """Suggest which of the known names may have been meant.

    Examples
    --------
    >>> nearest("batchsize", ["batch_size", "loss"])
    '; did you mean batch_size?'
    """
    close = difflib.get_close_matches(str(name), list(known), 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; the keys here are {', '.join(known)}"


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))
