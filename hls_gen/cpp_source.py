"""Reads C++ as far as `hls_gen.hls_check` needs it: tokens, preprocessor lines, brackets, functions, and which names are constants.

No types are known, and macros are not expanded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

# Pygments would do as well, but takes 0.1 s for the library and the wiring of two layers, where this takes a twentieth of that.
_COMMENT = r"//(?:\\\n|[^\n])*|/\*.*?\*/"
_LEXER = re.compile(
    rf"""
      (?P<comment>{_COMMENT})
    | ^[ \t]*\#(?P<directive>(?:\\\n|{_COMMENT}|[^\n])*)
    | (?P<string>(?:u8|[uUL])?(?:R"(?P<mark>[^()\s\\]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
    | (?P<number>\.?\d(?:[eEpP][+-]|'?[\w.])*)
    | (?P<word>[^\W\d]\w*|\S)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, frozenset(")]}")
#: Words that stand before a bracket and are no function.
_NO_FUNCTION = frozenset(("alignas", "alignof", "catch", "decltype", "for", "if", "noexcept", "operator", "requires"))
_NO_FUNCTION |= frozenset(("constexpr", "return", "sizeof", "static_assert", "switch", "while"))
#: Tokens of template arguments, for else each of many ``<`` would be followed to the end of the file.
LONGEST_ARGUMENTS = 200
_CLASS_WORDS = frozenset(("struct", "class", "union", "enum"))
#: Words that may stand before a name and are no type.
_NO_TYPE = frozenset(("return", "else", "case", "goto", "typename", "using", "new", "delete", "throw"))


class Token(NamedTuple):
    """A word, a number, a string (its contents left out), or one character of an operator."""

    text: str
    line: int
    number: bool = False


class Directive(NamedTuple):
    """A preprocessor line.

    Attributes:
        text: Without ``#`` and comments.
        line: Counted from 1.
        body: What a macro stands for.
        place: Of the token that follows the line.
    """

    text: str
    line: int
    body: list[Token]
    place: int


@dataclass(frozen=True)
class Function:
    """A function that is defined.

    Attributes:
        name: Its name.
        scope: Name of its class, if any.
        line: Of its name.
        head: Places of its first token and of the bracket of its body.
        body: Places of the brackets of its body.
        template: Template parameters, those of its class included.
    """

    name: str
    scope: str
    line: int
    head: tuple[int, int]
    body: tuple[int, int]
    template: frozenset[str]


class Call(NamedTuple):
    """A call: the name, what stands before its ``::`` if anything does, and whether it is called on an object."""

    name: str
    qualifier: str | None
    member: bool


@dataclass
class Source:
    """A file of C++.

    Attributes:
        name: Of the file.
        tokens: Without those that ``#if 0`` takes out.
        directives: Preprocessor lines.
        closing: Bracket that closes an opening one, by place.
        odd: A bracket without counterpart; then there are no functions.
        functions: All that are defined, an outer one before those inside it.
    """

    name: str
    tokens: list[Token]
    directives: list[Directive] = field(default_factory=list)
    closing: dict[int, int] = field(default_factory=dict)
    odd: Token | None = None
    functions: list[Function] = field(default_factory=list)

    def text(self, place: int) -> str:
        """Return the token at ``place``, nothing where there is none."""
        return self.tokens[place].text if 0 <= place < len(self.tokens) else ""

    def after(self, place: int) -> int:
        """Return the next place; after an opening bracket that behind the closing one."""
        return self.closing.get(place, place) + 1

    def is_word(self, place: int) -> bool:
        """Return whether an identifier or a keyword stands there."""
        return self.text(place).isidentifier()

    def qualifier(self, place: int) -> str | None:
        """Return what stands before the ``::`` before a name, without template arguments; None where there is no ``::``."""
        if not (self.text(place - 1) == ":" and self.text(place - 2) == ":"):
            return None
        return self.text(self._before_angles(place - 3))

    def assigns(self, place: int) -> bool:
        """Return whether an ``=`` stands there that is no part of a comparison."""
        return self.text(place) == "=" and self.text(place + 1) != "=" and self.text(place - 1) not in ("=", "!", "<", ">")

    def writes(self, place: int) -> bool:
        """Return whether the name at ``place`` is given a value there."""
        first, second, third = (self.text(place + step) for step in (1, 2, 3))
        operator = first in tuple("+-*/%&|^") and second == "="
        shift = first in ("<", ">") and second == first and third == "="
        step = any(pair in ("++", "--") for pair in (first + second, self.text(place - 2) + self.text(place - 1)))
        return self.assigns(place + 1) or operator or shift or step

    def calls(self, function: Function) -> Iterator[Call]:
        """Find what ``function`` calls."""
        begin, end = function.body
        for place in range(begin + 1, end):
            if not self.is_word(place) or self.text(place) in _NO_FUNCTION:
                continue
            after = self.after_angles(place + 1, end) if self.text(place + 1) == "<" else place + 1
            if after is not None and self.text(after) == "(":
                before = place - (self.text(place - 1) == "template")  # object.template f<...>()
                arrow = self.text(before - 1) == ">" and self.text(before - 2) == "-"
                yield Call(self.text(place), self.qualifier(place), self.text(before - 1) == "." or arrow)

    def constants(self, start: int, end: int) -> Iterator[int]:
        """Return the places of the names that are declared constexpr from ``start`` to before ``end``."""
        for first in range(start, end):
            if self.text(first) != "constexpr" or self.text(first - 1) == "if":
                continue
            place = first
            while place < end and self.text(place) not in (";", "{"):
                if self.assigns(place) and self.is_word(place - 1):
                    yield place - 1
                place = self.after(place)

    def after_angles(self, place: int, end: int) -> int | None:
        """Return the place behind the ``>`` that closes the ``<`` at ``place``; None where there is none, for then ``<`` compares."""
        depth, end = 0, min(end, place + LONGEST_ARGUMENTS)
        while place < end:
            text = self.text(place)
            depth += (text == "<") - (text == ">")
            if depth == 0:
                return place + 1
            if text in (";", "{", "}", ")", "]"):
                return None
            place = self.after(place)
        return None

    def _before_angles(self, place: int) -> int:
        """Return the place of the name that the template arguments which end at ``place`` belong to."""
        depth, begin = 0, max(0, place - LONGEST_ARGUMENTS)
        while place > begin:
            depth += (self.text(place) == ">") - (self.text(place) == "<")
            if depth == 0:
                break
            place -= 1
        return place - (self.text(place) == "<")


def read(name: str, text: str) -> Source:
    """Read the C++ ``text`` of the file ``name``."""
    source = Source(name, *_lex(text))
    waiting: list[int] = []
    for place, token in enumerate(source.tokens):
        if token.text in _OPEN:
            waiting.append(place)
        elif token.text in _CLOSE:
            if not waiting or _OPEN[source.text(waiting[-1])] != token.text:
                source.odd = token
                return source
            source.closing[waiting.pop()] = place
    if waiting:
        source.odd = source.tokens[waiting[-1]]
    else:
        source.functions = list(_functions(source, 0, len(source.tokens), "", frozenset()))
    return source


class Names:
    """Which names are constants in a function, or outside of any."""

    def __init__(self, source: Source, function: Function | None, outer: frozenset[str]) -> None:
        """Read the declarations.

        Args:
            source: The file.
            function: The function; None for code outside of any.
            outer: Names that are constants outside of functions, in any file.
        """
        self._source, self._outer = source, outer
        self._own: frozenset[str] = frozenset()
        self._varying: frozenset[str] = frozenset()
        if function is not None:
            places = set(source.constants(*function.body))
            others = [place for place in range(*function.body) if place not in places and source.is_word(place)]
            self._own = function.template | {source.text(place) for place in places}
            # A variable of the same name hides a constant from outside.
            variables = {source.text(place) for place in others if source.writes(place) or self._declares(place)}
            parameters = {source.text(place) for place in range(*function.head) if source.text(place + 1) in (",", ")")}
            self._varying = frozenset(variables | parameters)

    def constant(self, start: int, end: int) -> bool:
        """Return whether the expression from ``start`` to before ``end`` holds nothing but numbers and constants."""
        return start < end and all(self._known(place) for place in range(start, end))

    def _known(self, place: int) -> bool:
        word = self._source.text(place)
        if not word.isidentifier():
            return word not in ("{", '"')
        if self._source.text(place + 1) == ":" and self._source.text(place + 2) == ":":
            return True  # the name behind it decides
        if self._source.qualifier(place) is not None:
            return word in self._outer
        return word in self._own or word in ("sizeof", "int", "unsigned") or (word in self._outer and word not in self._varying)

    def _declares(self, place: int) -> bool:
        """Return whether a variable begins there: a name behind a type."""
        before = self._source.text(place - 1)
        typed = (before.isidentifier() and before not in _NO_TYPE) or before in (">", "&", "*")
        return typed and self._source.text(place + 1) in (";", "(", "{", ":")


def outer_constants(source: Source) -> Iterator[str]:
    """Return the names that are declared constexpr outside of functions."""
    bodies = [function.body for function in source.functions]
    for place in source.constants(0, len(source.tokens)):
        if not any(begin < place < end for begin, end in bodies):
            yield source.text(place)


def _lex(text: str) -> tuple[list[Token], list[Directive]]:
    """Cut C++ into tokens and preprocessor lines, without what ``#if 0`` takes out."""
    tokens: list[Token] = []
    directives: list[Directive] = []
    line, counted = 1, 0
    hidden = 0  # depth of conditions inside an #if 0, that one included
    for match in _LEXER.finditer(text):
        line += text.count("\n", counted, match.start())
        counted = match.start()
        kind = match.lastgroup
        if kind == "directive":
            words = re.sub(_COMMENT, " ", match["directive"], flags=re.DOTALL).replace("\\\n", " ").strip()
            if hidden:
                hidden += words.startswith("if") - words.startswith("endif")
                if hidden != 1 or not words.startswith("el"):
                    continue
            hidden = int(re.fullmatch(r"if\s+0", words) is not None)
            macro = re.match(r"define\s+\w+(?:\([^)]*\))?", words)
            # All of a macro is said to stand in its first line.
            body = [token._replace(line=line) for token in _lex(words[macro.end() :])[0]] if macro else []
            directives.append(Directive(words, line, body, len(tokens)))
        elif kind != "comment" and not hidden:
            tokens.append(Token('"' if kind == "string" else match[0], line, kind == "number"))
    return tokens, directives


def _functions(source: Source, start: int, end: int, scope: str, template: frozenset[str], *, inside: bool = False) -> Iterator[Function]:
    """Find the functions that are defined between two places.

    Args:
        source: Where to look.
        start: First token.
        end: Token behind the last one.
        scope: The class, if any.
        template: Its template parameters.
        inside: Whether this is the body of a function: what stands in brackets is a block there, but for local classes.
    """
    head = place = start
    while place < end:
        text = source.text(place)
        if text == ";" or (text == ":" and source.text(place - 1) in ("public", "private", "protected")):
            head = place + 1
        elif text == "{":
            begin, own = _template_head(source, head, place)
            body, close = place + 1, source.closing[place]
            name = _function_name(source, begin, place)
            kind = next((word for word in range(begin, place) if source.text(word) in _CLASS_WORDS), None)
            if {"namespace", "extern"} & {source.text(begin), source.text(begin + 1)} and name is None:
                yield from _functions(source, body, close, "", frozenset())
            elif kind is not None and (name is None or inside):
                yield from _functions(source, body, close, source.text(kind + 1), template | own)
            elif inside:
                yield from _functions(source, body, close, scope, template, inside=True)
            elif name is not None:
                owner = source.qualifier(name) or scope
                yield Function(source.text(name), owner, source.tokens[name].line, (head, place), (place, close), template | own)
                yield from _functions(source, body, close, scope, template | own, inside=True)
            head = close + 1
        place = source.after(place)


def _template_head(source: Source, start: int, end: int) -> tuple[int, frozenset[str]]:
    """Step over ``template <...>`` at ``start``; return where the declaration goes on, and the parameters."""
    names: set[str] = set()
    while source.text(start) == "template":
        after = source.after_angles(start + 1, end)
        if after is None:
            break
        names |= {source.text(place - 1) for place in range(start + 3, after) if source.text(place) in (",", ">", "=")}
        start = after
    return start, frozenset(filter(str.isidentifier, names))


def _function_name(source: Source, start: int, end: int) -> int | None:
    """Return the place of the name that a declaration gives to a function; None where it declares something else."""
    place = start
    while place < end:
        if source.text(place) == "operator":
            return place
        if source.text(place) == "(" and source.is_word(place - 1) and source.text(place - 1) not in _NO_FUNCTION:
            return place - 1
        if source.assigns(place):
            return None
        place = source.after(place)
    return None
