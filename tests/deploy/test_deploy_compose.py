"""The compose centre: every name it uses is defined, every service is confined, and the parts know each other's ports."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.app.duties import Duty

ROLES = {duty.value for duty in Duty}
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FOLDER = DEPLOY / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
GATEWAYS = {name: each for name, each in SERVICES.items() if each.get("image", "").startswith("tongluo")}
ROOTED = {"rabbit-1", "rabbit-2", "rabbit-3"}
"""Their image begins as root and gives it up; they keep four capabilities for it and write their own folder."""

each_service = pytest.mark.parametrize("name", SERVICES)


def sources(values: list[Any]) -> set[str]:
    """Names of configs or secrets, in the short or the long form."""
    return {value if isinstance(value, str) else value["source"] for value in values}


@each_service
def test_a_service_uses_only_what_is_defined(name: str) -> None:
    service = SERVICES[name]
    assert sources(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert sources(service.get("configs", [])) <= set(COMPOSE["configs"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    named = {volume.split(":")[0] for volume in service.get("volumes", []) if not volume.startswith(".")}
    assert named <= set(COMPOSE["volumes"])


def test_nothing_is_defined_that_nobody_uses() -> None:
    used = {kind: set() for kind in ("secrets", "configs")}  # type: dict[str, set[str]]
    for service in SERVICES.values():
        for kind, names in used.items():
            names |= sources(service.get(kind, []))
    assert {kind: set(COMPOSE[kind]) for kind in used} == used


def test_every_file_it_names_is_there_or_is_a_secret_with_its_line_in_the_readme() -> None:
    assert [each["file"] for each in COMPOSE["configs"].values() if not (FOLDER / each["file"]).exists()] == []
    readme = (FOLDER / "secrets.example" / "README.md").read_text()
    for each in COMPOSE["secrets"].values():
        assert f"`{Path(each['file']).name}`" in readme


@each_service
def test_a_service_is_confined_and_has_limits_and_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert "healthcheck" in service
    assert not service.get("privileged")
    if name not in ROOTED:
        assert service["read_only"] is True
        assert service["user"].split(":")[0] not in ("0", "root")


def test_two_instances_of_every_role_each_with_its_own_data() -> None:
    roles = [
        each["command"][each["command"].index("--role") + 1]
        for each in GATEWAYS.values()
        if "--role" in each["command"]
    ]
    assert sorted(roles) == sorted([*ROLES, *ROLES])
    folders = [each["volumes"][0] for each in GATEWAYS.values() if "volumes" in each]
    assert len(folders) == len(set(folders)) == 8


def test_names_agree_hosts_scrapes_aliases_and_nodes() -> None:
    names = {name for name in GATEWAYS if name != "migrate"}
    hosts = set(yaml.safe_load(COMPOSE["x-gateway"]["environment"]["TONGLUO_HTTP__HOSTS"]))
    assert names < hosts
    prometheus = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"] for job in prometheus["scrape_configs"]}
    assert {target for group in jobs["tongluo"] for target in group["targets"]} == {f"{name}:8080" for name in names}
    assert all(target.startswith(group["labels"]["role"]) for group in jobs["tongluo"] for target in group["targets"])
    rabbit = (FOLDER / "rabbitmq" / "rabbitmq.conf").read_text()
    assert set(re.findall(r"rabbit@(\S+)", rabbit)) == ROOTED
    upstreams = (FOLDER / "nginx-upstreams.conf").read_text()
    aliases = {
        alias
        for each in SERVICES.values()
        if isinstance(each["networks"], dict)
        for alias in (each["networks"].get("inside") or {}).get("aliases", [])
    }
    assert set(re.findall(r"server (\w+):8080", upstreams)) == aliases - {"rabbit"} == {"intake", "web", "deliver"}


def test_the_broker_and_the_store_are_reached_from_inside_alone() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", *ROOTED):
        assert list(SERVICES[name]["networks"]) == ["inside"]
        assert "ports" not in SERVICES[name]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    shutil.copy(FOLDER / "prometheus" / "prometheus.yml", tmp_path)
    shutil.copy(DEPLOY / "prometheus" / "rules.yml", tmp_path)
    words = ["promtool", "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_is_not_root_pins_hashes_and_keeps_no_pip() -> None:
    text = (DEPLOY / "container" / "Containerfile").read_text()
    last = text.split("\nFROM ")[-1]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert "--require-hashes" in text
    assert "pip uninstall" in text
    assert all(service["user"] == "10001:10001" for service in GATEWAYS.values())
    for path in re.findall(r"^COPY (?:--chmod=\d+ )?((?!--from)\S+) ", text, re.MULTILINE):
        assert path.startswith("dist/") or (DEPLOY.parent / path).exists(), path
