"""Jinja2 set-up: strict, dumb templates. Arithmetic is done in Python; an undefined name is an error."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import jinja2

import rtl_templates

TEMPLATE_FOLDER = Path(next(iter(rtl_templates.__path__)))
LIBRARY_FOLDER = TEMPLATE_FOLDER / "lib"
WORDS_PER_LINE = 12


def sv_literal(value: int | str) -> str:
    """Write a Python value as a SystemVerilog literal: an int as decimal, a str quoted."""
    if isinstance(value, str):
        if not value.isascii() or not value.isprintable() or '"' in value or "\\" in value:
            raise ValueError(f"{value!r} cannot be a SystemVerilog string")
        return f'"{value}"'
    return str(int(value))


def tcl_literal(value: int | float | str) -> str:
    """Write a Python value as one word of Tcl: a number or a plain word as it is, everything else in braces."""
    text = str(value)
    if re.fullmatch(r"[\w./:+-]+", text, re.ASCII):
        return text
    if not text.isascii() or not text.isprintable() or any(sign in text for sign in "{}\\"):
        raise ValueError(f"{text!r} cannot be a word of Tcl")
    return f"{{{text}}}"


def cpp_words(words: Sequence[int]) -> str:
    """Write words of at most 64 bits as the elements of a C++ array, some on each line."""
    texts = [f"0x{word:x}" for word in words]
    return "".join(f"    {', '.join(texts[low : low + WORDS_PER_LINE])},\n" for low in range(0, len(texts), WORDS_PER_LINE))


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
    env.filters["tcl"] = tcl_literal
    env.filters["cpp_words"] = cpp_words
    return env


def render_board(template: str, folder: Path, **values: object) -> str:
    """Render a board's top, ``template`` of ``folder``; what it includes (the PLL) is under `TEMPLATE_FOLDER`."""
    return _board_environment(folder).get_template(template).render(**values)


@cache
def _board_environment(folder: Path) -> jinja2.Environment:
    return environment().overlay(loader=jinja2.FileSystemLoader([folder, TEMPLATE_FOLDER]))


def render(template: str, folder: Path = TEMPLATE_FOLDER, **values: object) -> str:
    """Render ``template`` of ``folder`` with ``values``."""
    return environment(folder).get_template(template).render(**values)
