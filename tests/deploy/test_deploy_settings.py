"""What the shipped settings, environments and command lines say is what the program takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.channels import configured
from gateway.app.duties import Duty
from gateway.manual.commands import commands
from gateway.settings import Settings, read_settings

ROLES = {duty.value for duty in Duty}
ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
CONFIG = DEPLOY / "config" / "tongluo.yaml"
SHARED = {"TONGLUO_STORE__URL": "postgresql://tongluo@db/tongluo", "TONGLUO_QUEUE__URL": "amqp://tongluo@mq/tongluo"}
COMMANDS = {path for path, _ in commands()}


def texts() -> dict[Path, str]:
    """Every text of deploy/ that somebody runs or loads."""
    kinds = {".sh", ".service", ".yaml", ".env", ".conf", ""}
    return {path: path.read_text("utf-8") for path in DEPLOY.rglob("*") if path.is_file() and path.suffix in kinds}


def test_the_starting_settings_are_taken_and_reach_nobody() -> None:
    settings = read_settings(CONFIG, {})
    assert [each.name for each in configured(settings.channels)] == ["sms"]
    assert settings.release.drills_only
    assert not settings.sample_data
    assert settings.http.host == "127.0.0.1"
    assert not settings.directory.files


def test_no_secret_stands_in_the_starting_settings() -> None:
    raw = yaml.safe_load(CONFIG.read_text("utf-8"))
    secrets = re.compile(r"(password|secret|token|key)$")
    assert [name for channel in raw["channels"].values() for name in channel if secrets.search(name)] == []


def test_the_starting_settings_are_taken_with_a_shared_store_and_broker() -> None:
    read_settings(CONFIG, SHARED)


def compose_environment() -> dict[str, str]:
    compose: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
    return {name: str(value) for name, value in compose["x-gateway"]["environment"].items()}


def unit_environments() -> dict[str, str]:
    lines = "\n".join(path.read_text() for path in (DEPLOY / "systemd").rglob("*.env"))
    return dict(re.findall(r"^(TONGLUO_\w+)=(.*)$", lines, re.MULTILINE))


def kubernetes_environment() -> dict[str, str]:
    names = "".join(path.read_text() for path in (DEPLOY / "kubernetes").glob("*.yaml"))
    return dict.fromkeys(re.findall(r"name: (TONGLUO_\w+)", names), "")


@pytest.mark.parametrize("given", [compose_environment(), unit_environments(), kubernetes_environment()])
def test_every_variable_names_a_setting(given: dict[str, str]) -> None:
    assert given
    for variable in given:
        place = variable.removeprefix("TONGLUO_").lower().split("__")
        if place[0] == "channels":
            entry = next(each for each in configured(read_settings(CONFIG, {}).channels) if each.name == place[1])
            assert place[2] in type(entry.config).model_fields, variable
            continue
        section = Settings.model_fields[place[0]].annotation
        assert place[1] in getattr(section, "model_fields", {}), variable


def test_values_of_variables_are_taken() -> None:
    settings = read_settings(CONFIG, compose_environment())
    assert "watch-2" in settings.http.hosts
    assert not settings.store.embedded
    assert read_settings(CONFIG, unit_environments()).http.port in range(8081, 8085)


def test_every_command_that_deploy_runs_is_there() -> None:
    named = set()
    for text in texts().values():
        named |= set(re.findall(r"bin/tongluo\"? ([a-z]+)", text)) | set(re.findall(r"\[tongluo, ([a-z]+)", text))
    assert {"run", "backup", "migrate"} <= named
    assert named - {path.split()[0] for path in COMMANDS} == set()


def test_every_role_that_deploy_names_is_there_and_all_are_deployed() -> None:
    compose = (DEPLOY / "compose" / "compose.yaml").read_text()
    manifests = "".join(path.read_text() for path in (DEPLOY / "kubernetes").glob("*.yaml"))
    units = "".join(path.read_text() for path in (DEPLOY / "systemd" / "env").glob("*.env"))
    for found in (
        re.findall(r"--role, (\w+)", compose),
        re.findall(r"--role, (\w+)", manifests),
        re.findall(r"^ROLE=(\w+)", units, re.MULTILINE),
    ):
        assert set(found) == ROLES


@pytest.mark.parametrize("path", [path for path in DEPLOY.rglob("*.y*ml") if "tests" not in path.parts], ids=str)
def test_every_yaml_parses(path: Path) -> None:
    assert any(document is not None for document in yaml.safe_load_all(path.read_text("utf-8")))
