"""The world as the settings, the reference data and the opened channels make it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.app.channels import Opened, evidence, evidence_of
from gateway.app.files import resolved, shipped
from gateway.app.reference import Reference
from gateway.cap import Limits
from gateway.flow.world import World
from gateway.model.alert import Grade
from gateway.model.policy import Source
from gateway.reference.eventcodes import list_codes
from gateway.reference.templatefiles import read_templates
from gateway.rules.rendering import Templates
from gateway.settings import Settings

ADMIN_SOURCE = "admin"
"""The source of the key that a data folder is born with: it may post everything."""


def build_world(settings: Settings, config: Path | None, reference: Reference, channels: Mapping[str, Opened]) -> World:
    """Everything that the story looks up."""
    sources = {each.name: each.value() for each in settings.sources}
    sources.setdefault(ADMIN_SOURCE, Source(ADMIN_SOURCE, ("*",), ("*",), tuple(Grade)))
    figures = {name: evidence_of(opened) for name, opened in channels.items()}
    codes = list_codes(shipped("config", "event-codes.csv"))
    return World(
        tree=reference.tree,
        areas=reference.areas,
        directory=reference.directory,
        sources=sources,
        rules=tuple(rule.value() for rule in settings.plan),
        quiet=settings.quiet_hours.value(),
        goals=tuple(goal.value() for goal in settings.goals),
        channels=tuple(opened.profile for opened in channels.values()),
        formats={name: opened.channel.traits.format for name, opened in channels.items()},
        evidence={name: evidence(config, night=False) for name, config in figures.items()},
        evidence_by_night={name: evidence(config, night=True) for name, config in figures.items()},
        codes={code: (found.zh, found.en) for code, found in codes.items()},
        templates=Templates.from_mapping(_templates(settings, config)),
        zone=settings.zone,
        validity=settings.release.default_validity * 1000,
        withdrawn_words=settings.release.withdrawn_words,
        drills_only=settings.release.drills_only,
        sms_parts=settings.rendering.sms_parts,
        signature=settings.rendering.signature,
        limits=Limits(body=settings.http.body_limit),
    )


def _templates(settings: Settings, config: Path | None) -> dict[str, str]:
    """The shipped templates, the operator's own before them."""
    sources = read_templates(shipped("templates"))
    if settings.rendering.templates:
        sources |= read_templates(resolved(settings.rendering.templates, config))
    return sources
