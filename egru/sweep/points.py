"""``points.csv``: the table of a sweep with one value in a cell, for pandas and spreadsheets."""

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from egru.sweep.table import Row

#: What is varied stands without a prefix.
_UNPREFIXED = "point"


def points_csv(rows: Iterable[Row]) -> str:
    """Return the table: a line for each row; a column for each value that some row has, empty where a row has none."""
    flat = [dict(_columns("", row.model_dump(mode="json"))) for row in rows]
    # The fullest row first: what a failed one lacks then still stands in its place.
    names = dict.fromkeys(name for row in sorted(flat, key=len, reverse=True) for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def _columns(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a value: of a table those of its keys, of a list of named tables those of each by its name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _columns(key if name in ("", _UNPREFIXED) else f"{name}_{key}", inner)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        table = name.rpartition("_")[0]
        for inner in value:
            yield from _columns(f"{table}_{inner['name']}", {key: found for key, found in inner.items() if key != "name"})
    elif isinstance(value, list):
        yield name, "x".join(map(str, value))
    elif value is not None:
        yield name, value
