"""Configuration: defaults, overridden by a TOML file, overridden by the command line."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from sw_model.strict_toml import StrictModel, read_toml, validate

__all__ = ["StrictModel", "load_config"]

Model = TypeVar("Model", bound=BaseModel)

COMMAND_LINE = "the command line"


def load_config(
    model: type[Model], path: Path | None = None, overrides: dict[str, Any] | None = None, defaults: dict[str, Any] | None = None
) -> Model:
    """Build a configuration.

    Args:
        model: The configuration's model, a `StrictModel` whose fields have defaults.
        path: A TOML file, or None for the defaults.
        overrides: Dotted keys and values from the command line, e.g. ``{"train.epochs": 3}``. A value of None means "not given".
        defaults: Whole tables to take where the file has none, beside the model's own defaults.

    Raises:
        UserError: When the file cannot be read, or a key is unknown (the nearest legal key is named) or its value illegal.
    """
    data = (defaults or {}) | (read_toml(path) if path is not None else {})
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if path is None and not given:
        return validate(data, model, "the defaults")
    # The file is judged alone first, so that each mistake is blamed on where it was made.
    config = validate(data, model, str(path)) if path is not None else None
    for key, value in given.items():
        data = _with(data, key.split("."), value)
    return validate(data, model, COMMAND_LINE) if config is None or given else config


def _with(data: dict[str, Any], keys: list[str], value: Any) -> dict[str, Any]:
    """Return ``data`` with one nested value replaced; ``data`` itself, which may be shared, stays as it is."""
    first, *rest = keys
    if rest:
        # A table that is absent, or explicitly none, begins empty.
        return data | {first: _with(data.get(first) or {}, rest, value)}
    return data | {first: str(value) if isinstance(value, Path) else value}
