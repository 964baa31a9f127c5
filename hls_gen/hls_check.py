"""Refuses C++ that no HLS compiler can turn into hardware, by the rules that Vitis HLS and Bambu share.

Where the text alone leaves a doubt the check refuses: recursion goes by names, template recursion included, and a loop without a constant
bound needs a trip count, which Vitis HLS wants for its latency report as well. Recursion through overloaded operators is not seen.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hls_gen.cpp_source import Call, Function, Names, Source, Token, outer_constants, read
from sw_model.errors import UserError

#: Of the library and the tools' own: what they declare can be synthesised.
HEADERS = ("ap_axi_sdata.h", "ap_int.h", "cstdint", "hls_stream.h", "type_traits", "utility")
#: Integers, and what the compiler has done with before synthesis begins.
STANDARD_NAMES = frozenset(
    (
        *(f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        *("size_t", "conditional_t", "enable_if_t", "is_same_v"),
        *("integer_sequence", "make_integer_sequence", "index_sequence", "make_index_sequence"),
    )
)


class _Rule(NamedTuple):
    rule: str
    remedy: str


_ALLOCATION = _Rule("takes memory at run time, and hardware has none to give", "use an array of constant size")
_EXCEPTION = _Rule("is an exception, and hardware cannot unwind", "send an error flag along with the data")
_DISPATCH = _Rule("chooses a type or a function at run time", "use a template parameter")
_JUMP = _Rule("jumps out of structured code", "use a loop or a condition")
_FLOAT = _Rule("is floating point, and docs/semantics.md knows integers only", "use ap_int, and rescale of lib/fixed_point.hpp")
_SYSTEM = _Rule("calls the operating system", "send the value through a stream, and print it in the testbench")
_THREAD = _Rule("needs threads or coroutines", "make it a process of its own, connected by streams")
_STANDARD = _Rule("is not among the names of std that can be synthesised", "use ap_int, hls::stream and arrays of constant size")
_NAMESPACE = _Rule("hides which names are those of the standard library", "write std:: before each")
_HEADER = _Rule("is no header for synthesis", f"use {', '.join(HEADERS)} and .hpp files of the core")
_BRACKETS = _Rule("has no counterpart, so that the file cannot be checked", "balance brackets in every branch of the preprocessor")
_MACRO_LOOP = _Rule("is a loop in a macro, whose trip count cannot be checked", "write it in a function")
_LOOP = _Rule(
    "has neither a constant bound nor a trip count",
    "bound it by a constant, or begin its body with EGRU_PRAGMA(HLS loop_tripcount min = 0 max = ...)",
)
_RECURSION = _Rule(
    "is recursion, and hardware has no stack",
    "use a loop or a pack expansion; where these are different functions of one name, rename one, for the check goes by names",
)

_WORDS: dict[str, _Rule] = {
    **dict.fromkeys(("new", "delete", "make_unique", "make_shared", "unique_ptr", "shared_ptr"), _ALLOCATION),
    **dict.fromkeys(("throw", "try", "catch"), _EXCEPTION),
    **dict.fromkeys(("virtual", "dynamic_cast", "typeid"), _DISPATCH),
    **dict.fromkeys(("goto", "setjmp", "longjmp"), _JUMP),
    **dict.fromkeys(("float", "double"), _FLOAT),
    **dict.fromkeys(("thread_local", "co_await", "co_yield", "co_return"), _THREAD),
}
#: The same words may name something else where they are not called.
_CALLS: dict[str, _Rule] = {
    **dict.fromkeys(("malloc", "calloc", "realloc", "free", "alloca", "aligned_alloc", "strdup"), _ALLOCATION),
    **dict.fromkeys(("printf", "fprintf", "sprintf", "snprintf", "puts", "putchar", "scanf", "fscanf", "sscanf", "getchar"), _SYSTEM),
    **dict.fromkeys(("fopen", "fclose", "fread", "fwrite", "fgets", "fputs", "fflush", "getenv", "system", "exit", "abort"), _SYSTEM),
    **dict.fromkeys(("time", "clock", "sleep", "usleep", "rand", "srand"), _SYSTEM),
}
_LOOPS = frozenset(("for", "while", "do"))
_PRAGMA = "EGRU_PRAGMA"
_Key = tuple[str, str]  # class, name


@dataclass(frozen=True)
class Finding:
    """Something that cannot be synthesised.

    Attributes:
        file: Name of the source.
        line: Counted from 1.
        construct: What stands there.
        rule: Why it is refused.
        remedy: What to do.
    """

    file: str
    line: int
    construct: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.file}:{self.line}: {self.construct} {self.rule}; {self.remedy}"


def check_synthesisable(sources: Mapping[str, str]) -> list[Finding]:
    """Find what no HLS compiler takes.

    Args:
        sources: C++ by file name: everything that is synthesised, for calls are followed from file to file. Files that hold nothing but
            tables of numbers may be left out.

    Returns:
        What was found, by file and line; empty when all of it can be synthesised.
    """
    files = [read(name, text) for name, text in sources.items()]
    constants = frozenset(name for file in files for name in outer_constants(file))
    findings = list(_recursion(files))
    for file in files:
        findings += _words(file)
        findings += _loops(file, constants) if file.odd is None else [_finding(file, file.odd.line, file.odd.text, _BRACKETS)]
    return sorted(findings, key=lambda finding: (finding.file, finding.line))


def require_synthesisable(sources: Mapping[str, str]) -> None:
    """Check sources that were generated.

    Raises:
        AssertionError: When they cannot be synthesised, which is a fault of the templates.
    """
    findings = check_synthesisable(sources)
    if findings:
        raise AssertionError("\n".join(("generated C++ that cannot be synthesised", *map(str, findings))))


def read_sources(folder: Path, without: Collection[str] = ()) -> dict[str, str]:
    """Read the C++ in ``folder`` and below, by its path there, but for the files named in ``without``.

    Raises:
        UserError: When a file is no text.
    """
    found = {}
    for path in sorted((*folder.rglob("*.cpp"), *folder.rglob("*.hpp"))):
        name = path.relative_to(folder).as_posix()
        if name not in without:
            try:
                found[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                raise UserError(f"source {path}", "is not UTF-8 text", "generate the folder again") from None
    return found


def _finding(file: Source, line: int, construct: str, rule: _Rule) -> Finding:
    return Finding(file.name, line, construct, rule.rule, rule.remedy)


def _words(file: Source) -> Iterator[Finding]:
    """Find forbidden words, calls, names of the standard library, numbers and headers, in macros too."""
    for directive in file.directives:
        include = re.fullmatch(r'include\s*([<"])(.+)[>"]', directive.text)
        if include and not (include[2] in HEADERS if include[1] == "<" else include[2].endswith(".hpp")):
            yield _finding(file, directive.line, f"#{directive.text}", _HEADER)
        yield from _words(Source(file.name, directive.body))
        yield from (_finding(file, token.line, token.text, _MACRO_LOOP) for token in directive.body if token.text in _LOOPS)
    for place, token in enumerate(file.tokens):
        found = _word(file, place, token)
        if found is not None:
            yield _finding(file, token.line, *found)


def _word(file: Source, place: int, token: Token) -> tuple[str, _Rule] | None:
    """Return what is wrong with one token."""
    word, before, after = token.text, file.text(place - 1), file.text(place + 1)
    if word == "std":
        if after != ":":
            return ("std", _NAMESPACE)
        name = file.text(place + 3)
        return None if name in STANDARD_NAMES else (f"std::{name}", _WORDS.get(name) or _CALLS.get(name) or _STANDARD)
    if token.number:
        exponent = "p" if word[:2] in ("0x", "0X") else "e"
        return (word, _FLOAT) if exponent in word.lower() or "." in word else None
    if word == "(" and after == "*" and file.is_word(place + 2) and file.text(place + 3) + file.text(place + 4) == ")(":
        return (f"(*{file.text(place + 2)})()", _DISPATCH)
    if file.qualifier(place) == "std" or (word == "delete" and before == "="):  # a deleted function is no allocation
        return None
    if word in _WORDS:
        return (word, _WORDS[word])
    if word in _CALLS and after == "(" and before not in (".", ">"):
        return (f"{word}()", _CALLS[word])
    return None


def _loops(file: Source, constants: frozenset[str]) -> Iterator[Finding]:
    """Find the loops that have neither a constant bound nor a trip count."""
    names: dict[Function | None, Names] = {}
    tails: set[int] = set()  # the `while` of `do ... while`
    for place, token in enumerate(file.tokens):
        if token.text not in _LOOPS or place in tails:
            continue
        body = place + 1 if token.text == "do" else file.after(place + 1)
        if token.text == "do":
            tails.add(_after_statement(file, body))
        around = [function for function in file.functions if function.body[0] < place < function.body[1]]
        function = around[-1] if around else None
        if function not in names:
            names[function] = Names(file, function, constants)
        if not (token.text == "for" and _bounded(file, place + 1, names[function])) and not _has_trip_count(file, body, names[function]):
            yield _finding(file, token.line, f"{token.text} loop", _LOOP)


def _after_statement(file: Source, place: int) -> int:
    """Return the place behind a block, or behind a statement that ends in ``;``."""
    if file.text(place) == "{":
        return file.after(place)
    while place < len(file.tokens) and file.text(place) != ";":
        place = file.after(place)
    return place + 1


def _bounded(file: Source, bracket: int, names: Names) -> bool:
    """Return whether a ``for`` goes over an array, or counts a variable from a constant to a constant and its body leaves that alone."""
    close = file.closing[bracket]
    ends = _separators(file, bracket, close, ";")
    if not ends:
        return bool(_separators(file, bracket, close, ":"))
    begin = next((place for place in range(bracket, ends[0]) if file.assigns(place)), None)
    if len(ends) != 2 or begin is None or not names.constant(begin + 1, ends[0]):
        return False
    name = file.text(begin - 1)
    left, sign, right = ends[0] + 1, ends[0] + 2, ends[0] + 3
    compared = file.text(left) == name and file.text(sign) in ("<", ">", "!")
    limit = right + (file.text(right) == "=")

    def written(start: int, end: int) -> bool:
        return any(file.text(place) == name and file.writes(place) for place in range(start, end))

    kept = not written(close + 1, _after_statement(file, close + 1))
    return compared and names.constant(limit, ends[1]) and written(ends[1], close) and kept


def _separators(file: Source, bracket: int, close: int, text: str) -> list[int]:
    """Return the places where ``text`` stands alone, not doubled, in a bracket and in none inside it."""
    found = []
    place = bracket + 1
    while place < close:
        if file.text(place) == text and (text == ";" or text not in (file.text(place - 1), file.text(place + 1))):
            found.append(place)
        place = file.after(place)
    return found


def _has_trip_count(file: Source, body: int, names: Names) -> bool:
    """Return whether a block begins with a loop_tripcount, among other directives, that says how often at most."""
    if file.text(body) != "{":
        return False
    places = {body + 1}
    place = body + 1
    while file.text(place) == _PRAGMA and file.text(place + 1) == "(":
        words = range(place + 2, file.closing[place + 1])
        if file.text(place + 3) == "loop_tripcount":
            return any(file.text(word) == "max" and file.assigns(word + 1) and names.constant(word + 2, word + 3) for word in words)
        place = file.after(place + 1)
        places.add(place)
    lines = [directive.text for directive in file.directives if directive.place in places]
    return any(re.match(r"pragma\s+HLS\s+loop_tripcount\b.*\bmax\s*=\s*\w", line) for line in lines)


def _recursion(files: Sequence[Source]) -> Iterator[Finding]:
    """Find functions that call themselves, directly or by way of others."""
    where: dict[_Key, tuple[Source, Function]] = {}
    for file in files:
        for function in file.functions:
            where.setdefault((function.scope, function.name), (file, function))
    named: dict[str, set[_Key]] = {}
    for key in where:
        named.setdefault(key[1], set()).add(key)
    calls: dict[_Key, set[_Key]] = {key: set() for key in where}
    for file in files:
        for function in file.functions:
            for call in file.calls(function):
                calls[function.scope, function.name] |= _meant(call, function.scope, named.get(call.name, set()))
    reported: set[_Key] = set()
    for key, (file, function) in where.items():
        way = _way_back(key, calls)
        if way and not reported & set(way):
            reported |= set(way)
            yield _finding(file, function.line, " -> ".join("::".join(filter(None, step)) for step in (*way, key)), _RECURSION)


def _meant(call: Call, scope: str, known: set[_Key]) -> set[_Key]:
    """Return the functions among those of the right name, ``known``, that a call from the class ``scope`` may mean."""
    if call.qualifier == "std":
        return set()
    if call.member:
        return {key for key in known if key[0]}
    # Before :: may also stand a namespace, a template parameter or another name of a class; without ::, a class may inherit.
    first = [(call.qualifier, call.name)] if call.qualifier is not None else [(scope, call.name), ("", call.name)]
    return next(({key} for key in first if key in known), known)


def _way_back(start: _Key, calls: Mapping[_Key, set[_Key]]) -> list[_Key]:
    """Return a shortest way from a function to itself, without its end; empty where there is none."""
    reached = [start]
    caller: dict[_Key, _Key] = {}
    for function in reached:
        for following in sorted(calls[function]):
            if following == start:
                way = [function]
                while way[-1] != start:
                    way.append(caller[way[-1]])
                return way[::-1]
            if following not in caller:
                caller[following] = function
                reached.append(following)
    return []
