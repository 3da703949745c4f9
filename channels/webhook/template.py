"""Bodies, addresses and headers with `{placeholders}`: plain substitution, no expressions, nothing to escape from.

A template is cut at its placeholders once, at start-up. Each batch fills in what all its endpoints share; each endpoint
then costs one join. Values are escaped for where they stand and are never looked at again, so a warning text that
contains `{key}` or a quotation mark arrives literally.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from urllib.parse import quote, quote_plus

from pydantic import JsonValue

ENDPOINT_NAMES = frozenset({"address", "key", "region"})
LIST_NAMES = frozenset({"addresses", "keys"})
BATCH_NAMES = frozenset(
    {"text", "title", "language", "alert", "identifier", "dispatch", "channel", "cause", "grade", "event", "event_code"}
    | {"status", "sender", "sent", "expires", "supersedes", "timestamp", "timestamp_ms", "sign"}
)
FIELD = "field."

_PLACEHOLDER = re.compile(r'"\{(addresses|keys)\}"|\{([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_]+)?)\}')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Escape = Callable[[str], str]


def for_json(value: str) -> str:
    """The inside of a JSON string."""
    return encode_basestring(value)[1:-1]


def for_url(value: str) -> str:
    """A path segment or query value: everything that could end it is percent-encoded."""
    return quote(value, safe="")


def for_form(value: str) -> str:
    """A value of application/x-www-form-urlencoded."""
    return quote_plus(value)


def for_header(value: str) -> str:
    """A header value: control characters, above all line ends, become spaces."""
    return _CONTROL.sub(" ", value)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Literals with holes between them: `literals[0] names[0] literals[1] ...`; `literals` is one longer than `names`."""

    literals: tuple[str, ...]
    names: tuple[str, ...] = ()

    def bind(self, values: Mapping[str, str], escape: Escape) -> Pattern:
        """The pattern with the holes filled that `values` knows; the others stay open."""
        literals, names = [self.literals[0]], []
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            if name in values:
                value = values[name] if name in LIST_NAMES else escape(values[name])
                literals[-1] += value + literal
            else:
                names.append(name)
                literals.append(literal)
        return Pattern(tuple(literals), tuple(names))

    def fill(self, values: Mapping[str, str], escape: Escape) -> str:
        """The finished text. Raises KeyError for a hole that `values` does not know."""
        if not self.names:
            return self.literals[0]
        parts = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            parts.append(escape(values[name]))
            parts.append(literal)
        return "".join(parts)


def cut(text: str) -> Pattern:
    """Cut `text` at its placeholders; other braces are left alone."""
    literals, names, end = [], [], 0
    for found in _PLACEHOLDER.finditer(text):
        literals.append(text[end : found.start()])
        names.append(found[1] or found[2])
        end = found.end()
    return Pattern((*literals, text[end:]), tuple(names))


def json_pattern(body: JsonValue) -> Pattern:
    """The pattern of a JSON body; `"{addresses}"` and `"{keys}"` standing alone become lists."""
    return cut(json.dumps(body, ensure_ascii=False, separators=(",", ":")))


def form_pattern(body: Mapping[str, JsonValue]) -> Pattern:
    """The pattern of an application/x-www-form-urlencoded body."""
    literals: list[str] = [""]
    names: list[str] = []
    for number, (name, value) in enumerate(body.items()):
        pattern = cut(value if isinstance(value, str) else json.dumps(value))
        literals[-1] += ("&" if number else "") + quote_plus(name) + "=" + quote_plus(pattern.literals[0])
        literals.extend(quote_plus(literal) for literal in pattern.literals[1:])
        names.extend(pattern.names)
    return Pattern(tuple(literals), tuple(names))


def unknown_names(pattern: Pattern, *, many: bool) -> list[str]:
    """Placeholders that mean nothing here: misspelt ones, or those of one endpoint where a request serves many."""
    known = BATCH_NAMES | (LIST_NAMES if many else ENDPOINT_NAMES)
    return [name for name in pattern.names if name not in known and not name.startswith(FIELD)]
