"""What a queue message says: a note with ids only, so that no address ever reaches the broker. The store stays the
truth; whoever reads a note looks the batch up there. Written by the relay, read by the consuming side and by the
reconciler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from gateway.model.dispatch import Priority, WorkState
from gateway.model.time import Instant
from gateway.ports.store import BatchRow

VERSION = 1
OPEN = (WorkState.PENDING, WorkState.SENDING)
CLASSES = {priority.label: priority for priority in Priority}


class Unreadable(ValueError):
    """A message that is no note of a version we know."""


class Note(BaseModel):
    """One batch that waits: its numbers in the store, its channel, its class (`cancel` ... `test`) and when it
    expires (ms)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True)

    v: int = VERSION
    batch: int = Field(gt=0)
    dispatch: int = Field(gt=0)
    channel: str = Field(min_length=1, max_length=200)
    label: str = Field(alias="class", pattern=f"^({'|'.join(CLASSES)})$")
    expires_at: Instant

    @property
    def priority(self) -> Priority:
        return CLASSES[self.label]


Reader = Callable[[Mapping[str, Any]], Note]

READERS: Mapping[int, Reader] = MappingProxyType({VERSION: Note.model_validate})
"""How each version is read: this one and the one before, so that old and new processes work side by side during an
upgrade. When a version 2 comes, version 1 stays here with a reader that turns a note of then into one of now.
"""


def written(row: BatchRow) -> bytes:
    """The note of a batch."""
    note = Note(
        batch=row.n,
        dispatch=row.dispatch,
        channel=row.channel,
        label=row.priority.label,
        expires_at=row.expires_at,
    )
    return note.model_dump_json().encode()


def read(body: bytes, readers: Mapping[int, Reader] = READERS) -> Note:
    """The note in a message's body. Raises Unreadable with what is wrong."""
    try:
        fields = from_json(body)
    except ValueError as error:
        raise Unreadable(f"not JSON: {error}") from error
    version = fields.get("v") if isinstance(fields, dict) else None
    if type(version) is not int or version not in readers:
        raise Unreadable(f"version {version!r} is not one of {sorted(readers)}")
    try:
        return readers[version](fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def misfit(note: Note, row: BatchRow | None) -> str:
    """Why a note does not speak of what the store has under its number; "" if it does."""
    if row is None:
        return f"there is no batch {note.batch}"
    said = (note.dispatch, note.channel, note.priority)
    return (
        "" if said == (row.dispatch, row.channel, row.priority) else f"batch {note.batch} is another one in the store"
    )
