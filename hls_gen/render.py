"""Jinja2 set-up: strict, dumb templates. Arithmetic is done in Python; an undefined name is an error."""

from functools import cache
from pathlib import Path

import jinja2

import rtl_templates

TEMPLATE_FOLDER = Path(next(iter(rtl_templates.__path__)))
LIBRARY_FOLDER = TEMPLATE_FOLDER / "lib"


def sv_literal(value: int | str) -> str:
    """Write a Python value as a SystemVerilog literal: an int as decimal, a str quoted."""
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable() or '"' in value or "\\" in value:
            raise ValueError(f"{value!r} cannot be a SystemVerilog string")
        return f'"{value}"'
    return str(int(value))


@cache
def environment(folder: Path = TEMPLATE_FOLDER) -> jinja2.Environment:
    """Return the environment for the templates in ``folder``."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    env.filters["sv"] = sv_literal
    return env


def render(template: str, folder: Path = TEMPLATE_FOLDER, **values: object) -> str:
    """Render ``template`` of ``folder`` with ``values``."""
    return environment(folder).get_template(template).render(**values)
