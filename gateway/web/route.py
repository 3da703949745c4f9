"""What one route is: its address, who may use it, what it takes and gives. The tables of `gateway.web.routes` are made of these;
the application, the OpenAPI document and the documentation's test read them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from gateway.ports import Role
from gateway.web.shapes import Shape
from gateway.web.site import Handler

SIGNED: frozenset[Role] = frozenset()
"""Anybody with a key or a session."""

OPEN = None
"""Anybody at all."""

REGULAR = re.compile(r"\{(\w+):[^{}]+\}")


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter: its name, what it means, its JSON schema."""

    name: str
    meaning: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Route:
    """One address and method.

    `roles`: OPEN, SIGNED, or the roles of which one is needed; `pace`: the bucket it spends from; `takes`: media types of the
    body; `gives`: the shape of the JSON answer, or another media type; `many`: a list of that shape; `statuses`: of success;
    `codes`: error codes beyond those every route may give; `part`: the role of a process that serves it, "" = any.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    roles: frozenset[Role] | None = SIGNED
    pace: str = "reads"
    query: tuple[Query, ...] = ()
    takes: tuple[str, ...] = ()
    gives: type[Shape] | str = "application/json"
    many: bool = False
    statuses: tuple[int, ...] = (200,)
    codes: tuple[str, ...] = ()
    part: str = "web"

    @property
    def address(self) -> str:
        """The path as documents write it: `/alerts/{id}`, without regular expressions."""
        return REGULAR.sub(r"{\1}", self.path)
