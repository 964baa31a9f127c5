"""TOML files checked against a pydantic model, with one-line errors that name the key, the file and the remedy."""

import difflib
import json
import tomllib
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from sw_model.errors import UserError
from sw_model.input_file import read_text, require_shallow

#: Far above any configuration. The time that tomllib takes for a key grows with the square of its parts: with four times as many bytes, one
#: of nothing but dots takes 40 s.
MAX_TOML_BYTES = 1 << 14
#: Characters of a value that a message shows.
SHOWN = 200


class StrictModel(BaseModel):
    """A frozen model that refuses unknown keys and silent conversions, except int to float."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        UserError: When the file is missing, unreadable or not TOML; the message names the line.
    """
    try:
        text = read_text(Path(path), "file", "check the path", MAX_TOML_BYTES)
        # TOML wants its lines to end so; a text file on some systems has others.
        data = tomllib.loads(text.replace("\r\n", "\n"))
    except OSError as error:
        raise UserError(f"file {path}", f"cannot be read ({error.strerror})", "check the path and its permissions") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a ValueError of its own
        raise UserError(f"file {path}", f"is not valid TOML: {error}", "mend that line") from None
    require_shallow(data, f"file {path}", "use fewer levels")
    return data


def validate(data: dict[str, Any], model: type[Model], source: str) -> Model:
    """Make a ``model`` of ``data``.

    Args:
        data: Nested tables as `read_toml` gives them.
        model: The pydantic model, normally a `StrictModel`.
        source: Where the data is from, for the error message.

    Raises:
        UserError: For the first key that is unknown, missing or of the wrong type or range.
    """
    try:
        # JSON mode accepts a TOML array as a tuple and a string as an enum or path; strict still refuses "3" for 3.
        return model.model_validate_json(_as_json(data, source))
    except ValidationError as error:
        raise _user_error(error, model, source) from None


def load_toml(path: Path, model: type[Model]) -> Model:
    """Read a TOML file into ``model``.

    Raises:
        UserError: See `read_toml` and `validate`.
    """
    return validate(read_toml(path), model, str(path))


def _as_json(data: dict[str, Any], source: str) -> str:
    try:
        return json.dumps(data)
    except TypeError as error:
        raise UserError(f"file {source}", f"holds a date or time ({error})", "write it as a string") from None
    except ValueError as error:
        raise UserError(f"file {source}", f"holds a number that is too long ({error})", "write a smaller one") from None


def _user_error(error: ValidationError, model: type[BaseModel], source: str) -> UserError:
    # An unknown key comes first: a misspelt key is also reported as a missing one, and the misspelling is the cause.
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    detail = details[0]
    location = detail["loc"]
    name = ".".join(str(part) for part in location)[:SHOWN] or "the file"
    if detail["type"] == "extra_forbidden":
        return UserError(f"key '{name}' in {source}", "is not known", _suggest(str(location[-1]), legal_keys(model, location[:-1])))
    if detail["type"] == "missing":
        return UserError(f"key '{name}' in {source}", "is missing", "add it")
    rule = str(detail["msg"])
    rule = rule[0].lower() + rule[1:]
    value = repr(detail["input"])
    shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    return UserError(f"key '{name}' = {shown} in {source}", f"is not accepted: {rule}", "change the value")


def _suggest(key: str, legal: list[str]) -> str:
    near = difflib.get_close_matches(key, legal, n=1, cutoff=0.5)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"legal keys here: {', '.join(legal)}" if legal else "remove it"


def legal_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the table at ``location`` of ``model`` may hold, in the order of their declaration."""
    table: type[BaseModel] | None = model
    for part in location:
        if table is None:
            return []
        if isinstance(part, str) and part in table.model_fields:
            table = _table_of(table.model_fields[part].annotation)
    return list(table.model_fields) if table else []


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, dict):
        return next((found for argument in get_args(annotation) if (found := _table_of(argument))), None)
    return None
