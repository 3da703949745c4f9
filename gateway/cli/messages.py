"""Commands about messages: `validate`, `preview`, `send`, `status`, and the pure coverage model."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from gateway.app.offline import preview_offline
from gateway.cap import Limits, parse, verdict
from gateway.cli.serve import default_config
from gateway.errors import Refused, TongluoError
from gateway.rules.evaluating import evaluate
from gateway.rules.measuring import floor_display
from gateway.settings import read_settings
from gateway.telemetry import configure_logging

URL = typer.Option("http://127.0.0.1:8080", "--url", envvar="TONGLUO_URL", help="The gateway.")
KEY = typer.Option("", "--key", envvar="TONGLUO_KEY", help="API key; default: DATA/admin.key.")
DATA = typer.Option(Path("var"), "--data", help="Data folder that holds admin.key.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(validate)
    app.command()(preview)
    app.command()(send)
    app.command()(status)
    coverage = typer.Typer(help="The coverage model.", no_args_is_help=True)
    coverage.command("evaluate")(coverage_evaluate)
    app.add_typer(coverage, name="coverage")


def validate(
    files: list[Path] = typer.Argument(help="CAP or national XML files."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per line."),
    strict: bool = typer.Option(False, help="Warnings refuse, too."),
) -> None:
    """Parse and check files. No server is asked."""
    acceptable = True
    for file in files:
        limits = Limits()
        with file.open("rb") as opened:
            raw = opened.read(limits.body + 1)
        found = verdict(str(file), parse(raw, limits=limits), strict)
        acceptable &= found["ok"]
        print(json.dumps(found, ensure_ascii=False) if as_json else _verdict_text(found))
    raise typer.Exit(0 if acceptable else 1)


def _verdict_text(found: dict[str, Any]) -> str:
    mark = "✓" if found["ok"] else "✕"
    lines = [f"{mark} {found['file']}: {found['dialect'] or '?'} {found['msgType'] or ''} {found['identifier'] or ''}"]
    for finding in (*found["errors"], *found["warnings"]):
        where = f"{finding['xpath']}" + (f" (line {finding['line']})" if finding["line"] else "")
        lines.append(f"    {finding['level']} {finding['code']} {where}: {finding['message']}")
    return "\n".join(lines)


def preview(
    file: Path = typer.Argument(help="CAP or national XML."),
    as_json: bool = typer.Option(False, "--json", help="Print the JSON."),
    config: Path | None = typer.Option(
        None, "--config", "-c", help="Settings file; default: config/tongluo.yaml here."
    ),
    url: str = typer.Option("", "--url", help="Ask this running gateway instead."),
    key: str = KEY,
    data: Path = DATA,
) -> None:
    """What would happen: whom, by what, in which words. Nothing is stored or sent, and no server is needed."""
    if url:
        answer = asyncio.run(_post(url, _key(key, data), file, "/api/v1/alerts/preview"))
    else:
        path = default_config(config)
        configure_logging(level=logging.ERROR)
        answer = asyncio.run(preview_offline(read_settings(path), path, file.read_bytes()))
    print(json.dumps(answer, ensure_ascii=False, indent=2) if as_json else _preview_text(answer))


def _preview_text(shown: dict[str, Any]) -> str:
    expected = shown.get("expected") or {"lo": None}
    known = expected["lo"] is not None
    triple = " / ".join(floor_display(expected[name]) for name in ("lo", "est", "hi")) if known else "–"
    names = [region["name"] for region in shown["regions"]]
    lines = [
        f"结果 would: {shown['would']}  ({shown['why']})",
        f"区域 regions: {'、'.join(names[:10])}{' …' if len(names) > 10 else ''}",
        f"目标人口 people: {shown['people']:,.0f}   规则 rule: {shown['rule']}",
        f"终端 endpoints: {', '.join(f'{name} {count}' for name, count in shown['endpoints'].items())}",
        f"预计 expected 有回执/估计/可能: {triple}   盲区 blind spots: {len(shown['blind_spots'])}",
    ]
    lines += [f"\n[{text['channel']} {text['language']}] {text['text']}" for text in shown["texts"]]
    lines += [f"\n{finding['level']} {finding['code']}: {finding['message']}" for finding in shown["findings"]]
    return "\n".join(lines)


def send(
    file: Path = typer.Argument(help="CAP or national XML, or a ZIP with attachments."),
    url: str = URL,
    key: str = KEY,
    data: Path = DATA,
    follow: bool = typer.Option(False, help="Show coverage rising until the goal or the end of the alert."),
) -> None:
    """Post a message."""
    secret = _key(key, data)
    answer = asyncio.run(_post(url, secret, file, "/api/v1/alerts"))
    print(f"{answer['state']} {answer['id']}  {answer['identifier']}")
    for finding in answer["warnings"]:
        print(f"  {finding['level']} {finding['code']}: {finding['message']}")
    if follow:
        asyncio.run(_follow(url, secret, answer["id"]))


async def _follow(url: str, key: str, alert: str) -> None:
    columns = (
        TextColumn("{task.description}", justify="right"),
        BarColumn(complete_style="cyan"),
        TextColumn("{task.fields[said]}"),
    )
    async with _session(key) as http:
        with Progress(*columns, console=Console()) as progress:
            bars: dict[str, Any] = {}
            while True:
                frame = await _get(http, f"{url}/api/v1/alerts/{alert}/coverage?depth=1")
                for region in (frame["region"], *frame["children"][:20]):
                    if region["id"] not in bars:
                        bars[region["id"]] = progress.add_task(region["name"], total=1.0, said="")
                    progress.update(bars[region["id"]], completed=region["est"] or 0, said=_said(region))
                state = (await _get(http, f"{url}/api/v1/alerts/{alert}"))["state"]
                if state != "released" or frame["region"]["status"] == "met_confirmed":
                    return
                await asyncio.sleep(1)


def _said(region: dict[str, Any]) -> str:
    if region["lo"] is None:
        return "– 无目标人口 no target"
    lo, est, hi = (floor_display(region[name]) for name in ("lo", "est", "hi"))
    return f"有回执 {lo}%  估计 {est}%  可能 {hi}%  目标 {region['goal_bp'] / 100:g}%  {region['status']}"


def status(
    alert: str = typer.Argument("", help="An alert's id; none = all live alerts."),
    as_json: bool = typer.Option(False, "--json", help="Print the JSON."),
    url: str = URL,
    key: str = KEY,
    data: Path = DATA,
) -> None:
    """What is live, or how one alert stands."""

    async def ask() -> Any:
        async with _session(_key(key, data)) as http:
            if alert:
                return await _get(http, f"{url}/api/v1/alerts/{alert}/coverage?depth=1")
            return await _get(http, f"{url}/api/v1/alerts?state=active")

    answer = asyncio.run(ask())
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    elif alert:
        for region in (answer["region"], *answer["children"]):
            print(f"{region['name']}\t{_said(region)}")
    else:
        for item in answer["items"]:
            print(
                f"{item['id']}  {item['grade']}  {item['headline']}  {_said(item['coverage']) if item['coverage'] else '–'}"
            )


def coverage_evaluate(
    file: Path = typer.Argument(help="One scenario, or a file of vectors (docs/coverage.md)."),
    as_json: bool = typer.Option(True, "--json", help="Print JSON (always)."),
    exact: bool = typer.Option(False, help="Rationals as exact fractions beside their value."),
) -> None:
    """Evaluate the pure coverage model. No server is asked."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refused(
            "scenario_invalid", 422, f"{file} 不是 JSON：{error}。", f"{file} is not JSON: {error}."
        ) from error
    print(json.dumps(evaluate(document, exact), ensure_ascii=False, indent=None if as_json else 2))


def _key(key: str, data: Path) -> str:
    """The API key to use: as given, else the data folder's own."""
    path = data / "admin.key"
    if key or not path.exists():
        return key
    return path.read_text().strip()


@asynccontextmanager
async def _session(key: str) -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    headers["Accept-Language"] = "zh-CN" if os.environ.get("LANG", "").startswith("zh") else "en"
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=60)) as http:
        yield http


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        return await _taken(answer)


async def _post(url: str, key: str, file: Path, path: str) -> Any:
    kind = "application/zip" if file.suffix.lower() == ".zip" else "application/cap+xml"
    body = await asyncio.to_thread(file.read_bytes)
    async with _session(key) as http, http.post(url + path, data=body, headers={"Content-Type": kind}) as answer:
        return await _taken(answer)


async def _taken(answer: aiohttp.ClientResponse) -> Any:
    content = await answer.json(content_type=None)
    if answer.status < 400:
        return content
    for finding in content.get("findings", ()):
        print(f"  {finding['level']} {finding['code']} {finding['xpath']}: {finding['message']}", file=sys.stderr)
    raise TongluoError(f"{content.get('detail', answer.reason)} [{content.get('code', answer.status)}]")
