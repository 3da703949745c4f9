"""Every table of the store, once, as SQLAlchemy Core: the same statements serve SQLite and PostgreSQL.

Times are `BigInteger` instants (milliseconds; `pace.free_at` has microseconds); JSON columns hold what only people read back
whole; binary columns hold numpy columns and journal blocks. The migrations in `store/migrations` build exactly these tables (a test
compares them).
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

Serial = BigInteger().with_variant(Integer, "sqlite")

alert = Table(
    "alert",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("sender", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("sent", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("msg_type", String(16), nullable=False),
    Column("dialect", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("grade", Integer, nullable=False),
    Column("event", Text, nullable=False),
    Column("event_code", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column("kind", String(16), nullable=False, default=""),
    Column("fingerprint", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("scope", JSON, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("released_at", BigInteger),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("ended_by", BigInteger, nullable=False, default=0),
    Column("accepted_by", Text, nullable=False),
    Column("via", String(16), nullable=False),
    UniqueConstraint("sender", "identifier", "sent", name="alert_identity"),
    Index("alert_state", "state", "expires_at"),
    Index("alert_ended_by", "ended_by"),
    Index("alert_via", "via", "received_at"),
)

alert_region = Table(
    "alert_region",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("code", String(16), primary_key=True),
    Column("whole", Boolean, nullable=False),
    Index("alert_region_code", "code"),
)

reference = Table(
    "reference",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("identifier", Text, nullable=False),
    Column("sent", BigInteger),
    Index("reference_identifier", "identifier"),
)

attachment = Table(
    "attachment",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("alert", BigInteger, nullable=False, default=0),
    Column("note", Text, nullable=False, default=""),
    Index("audit_alert", "alert"),
)

event = Table(
    "event",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("alert", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("name", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Index("event_alert", "alert", "id"),
)

roster = Table(
    "roster",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("frozen_at", BigInteger, nullable=False),
    Column("endpoints", Integer, nullable=False),
    Column("header", JSON, nullable=False),
    Column("columns", LargeBinary, nullable=False),
)

roster_part = Table(
    "roster_part",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("addresses", Text),
    Column("names", Text, nullable=False),
)

dispatch = Table(
    "dispatch",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("alert", BigInteger, nullable=False),
    Column("roster", BigInteger, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("round", Integer, nullable=False, default=0),
    Column("priority", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("withdrawn_at", BigInteger),
    Column("targets", JSON, nullable=False),
    Column("planned_to", Integer, nullable=False, default=0),
    Column("state", String(16), nullable=False),
    Column("lease_owner", Text, nullable=False, default=""),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Index("dispatch_open", "state", "priority", "due_at"),
    Index("dispatch_alert", "alert"),
)

message = Table(
    "message",
    metadata,
    Column("dispatch", BigInteger, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("variant", Integer, primary_key=True),
    Column("body", JSON, nullable=False),
    Column("flags", JSON, nullable=False),
)

batch = Table(
    "batch",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("dispatch", BigInteger, nullable=False),
    Column("channel", Text, nullable=False),
    Column("variant", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("first", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("only", LargeBinary),
    Column("remaining", LargeBinary),
    Column("doubtful", Boolean, nullable=False, default=False),
    Column("reason", String(32), nullable=False, default=""),
    Column("lease_owner", Text, nullable=False, default=""),
    Column("lease_until", BigInteger, nullable=False, default=0),
    Column("created_at", BigInteger, nullable=False),
    Column("published_at", BigInteger, nullable=False, default=0, server_default="0"),
    Index("batch_work", "channel", "state", "priority", "expires_at", "n"),
    Index("batch_dispatch", "dispatch"),
    Index("batch_leased", "lease_until"),
    Index("batch_published", "published_at", "priority", "expires_at", "n"),
)

lease = Table(
    "lease",
    metadata,
    Column("office", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
)

process = Table(
    "process",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("roles", JSON, nullable=False),
    Column("url", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("channels", JSON, nullable=False),
)

pace = Table(
    "pace",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("free_at", BigInteger, nullable=False),
)

stray = Table(
    "stray",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("route", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("replay", Boolean, nullable=False, default=False),
)

journal = Table(
    "journal",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("attempts", LargeBinary),
    Column("statements", LargeBinary),
)

channel_number = Table(
    "channel_number",
    metadata,
    Column("n", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("alert", BigInteger, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("fold", LargeBinary, nullable=False),
)

credential = Table(
    "credential",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("source", Text, nullable=False, default=""),
    Column("roles", JSON, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("sandbox", Boolean, nullable=False, default=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("ended_at", BigInteger),
)

imported = Table(
    "imported",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("file", Text, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
)

region = Table(
    "region",
    metadata,
    Column("code", String(16), primary_key=True),
    Column("file", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("ended_at", BigInteger),
)

named_area = Table(
    "named_area",
    metadata,
    Column("id", Text, primary_key=True),
    Column("file", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("ended_at", BigInteger),
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("n", Serial, primary_key=True, autoincrement=True),
    Column("endpoint", Text, nullable=False, unique=True),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("region", String(16), nullable=False),
    Column("recipient", Text, nullable=False, default=""),
    Column("covers", Integer, nullable=False, default=1),
    Column("audiences", Text, nullable=False, default=""),
    Column("language", Text, nullable=False, default=""),
    Column("name", Text, nullable=False, default=""),
    Column("post", Text, nullable=False, default=""),
    Column("file", Text, nullable=False),
    Column("ended_at", BigInteger),
    Index("endpoint_region", "region"),
)
