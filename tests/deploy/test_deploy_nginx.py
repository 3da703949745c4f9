"""The proxy for real: nginx with our settings before servers that say what reached them."""

from __future__ import annotations

import asyncio
import datetime
import io
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.settings import Settings
from gateway.web.routes import API, PAGES

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
TEXT = (FOLDER / "tongluo.conf").read_text("utf-8")
NAME = "warning.example.gov.cn"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

needs_nginx = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running nginx: its TLS port, and whom it knows."""

    port: int
    authority: Identity
    poster: Identity

    def tls(self, identity: Identity | None = None) -> ssl.SSLContext:
        """A client's side: it trusts the authority, and shows `identity` if it has one."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
        return context


def certified(folder: Path, name: str, issuer: Identity | None = None) -> Identity:
    """A certificate for `name`, signed by `issuer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = x509.load_pem_x509_certificate(issuer.certificate.read_bytes()).subject if issuer else subject
    signing = serialization.load_pem_private_key(issuer.key.read_bytes(), None) if issuer else key
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(above, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ip_address("127.0.0.1"))]), False
        )
        .sign(signing, hashes.SHA256())
    )
    found = Identity(folder / f"{name}.crt", folder / f"{name}.key")
    found.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    found.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, pem, plain))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def written(folder: Path, port: int, upstreams: dict[str, int], authority: Identity, server: Identity) -> Path:
    """Our settings with the paths and ports of this test."""
    places = {
        "/etc/nginx/tls/server.crt": server.certificate,
        "/etc/nginx/tls/server.key": server.key,
        "/etc/nginx/tls/posters-ca.crt": authority.certificate,
        "/var/log/nginx": folder,
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl http2;\n": "",
    }
    ours = TEXT
    for there, here in places.items():
        assert there in ours, there
        ours = ours.replace(there, str(here))
    servers = "".join(f"upstream {name} {{ server 127.0.0.1:{at}; keepalive 8; }}\n" for name, at in upstreams.items())
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    path = folder / "nginx.conf"
    head = f"daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
    user = "user root;\n" if Path("/proc/self").stat().st_uid == 0 else ""
    path.write_text(f"{user}{head}http {{\naccess_log off;\n{temporary}{servers}{ours}}}\n")
    return path


async def upstream(name: str) -> tuple[web.AppRunner, int]:
    """A server that answers with its name and what it got; `/events` speaks once and then keeps silent."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/events"):
            stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await stream.prepare(request)
            await stream.write(b"event: first\n\n")
            await asyncio.sleep(600)
            return stream
        got = {"by": name, "bytes": len(await request.read()), "headers": dict(request.headers)}
        response = web.json_response(got)
        response.set_cookie("session", "x")
        return response

    app = web.Application(client_max_size=100_000_000)
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, int(runner.addresses[0][1])


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    authority = certified(tmp_path, "authority")
    server, poster = certified(tmp_path, "server", authority), certified(tmp_path, "city-met", authority)
    backs = {name: await upstream(name) for name in ("intake", "web", "deliver")}
    port = free_port()
    path = written(tmp_path, port, {f"tongluo_{name}": back[1] for name, back in backs.items()}, authority, server)
    words = [str(NGINX), "-c", str(path), "-p", str(tmp_path), "-e", str(tmp_path / "start.log")]
    process = await asyncio.create_subprocess_exec(*words)
    try:
        await listening(port, process, tmp_path)
        yield Proxy(port, authority, poster)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        for runner, _ in backs.values():
            await runner.cleanup()


async def listening(port: int, process: asyncio.subprocess.Process, folder: Path) -> None:
    """Until nginx takes connections."""
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, (folder / "start.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@needs_nginx
def test_nginx_takes_the_settings_as_they_are_shipped(tmp_path: Path) -> None:
    """With its upstreams file, and nothing changed but where files and logs are."""
    authority = certified(tmp_path, "authority")
    path = written(tmp_path, free_port(), {}, authority, certified(tmp_path, "server", authority))
    shipped = (FOLDER / "tongluo-upstreams.conf").read_text()
    path.write_text(path.read_text().replace("http {\n", f"http {{\n{shipped}", 1))
    words = [str(NGINX), "-t", "-q", "-c", str(path), "-p", str(tmp_path), "-e", str(tmp_path / "start.log")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
async def test_only_a_certified_machine_posts_and_the_gateway_learns_its_name(proxy: Proxy) -> None:
    forged = {"X-Client-Subject": "CN=somebody"}
    async with client(proxy) as stranger, client(proxy, proxy.poster) as poster:
        for path in ("/api/v1/alerts", "/api/v1/alerts/preview", "/api/v1/alerts?dry_run=true"):
            async with stranger.post(path, data=b"<alert/>") as refused:
                assert refused.status == 403, path
            async with poster.post(path, data=b"<alert/>", headers=forged) as taken:
                got = await taken.json()
                assert (taken.status, got["by"]) == (200, "intake")
                assert got["headers"]["X-Client-Subject"] == "CN=city-met"
        async with stranger.get("/api/v1/alerts", headers=forged) as reading:
            got = await reading.json()
            assert (reading.status, got["by"]) == (200, "web")
            assert got["headers"].get("X-Client-Subject", "") == ""


@needs_nginx
async def test_requests_go_to_the_role_that_serves_them(proxy: Proxy) -> None:
    expected = {
        ("POST", "/api/v1/alerts/7/cancel"): "web",
        ("POST", "/api/v1/alerts/7/stop"): "web",
        ("POST", "/api/v1/alerts/7/approve"): "web",
        ("GET", "/api/v1/media/0a.wav"): "deliver",
        ("POST", "/callbacks/wechat/x"): "intake",
        ("POST", "/alerts/7/cancel"): "web",
        ("GET", "/alerts/7/cancel"): "web",
        ("GET", "/api/v1/alerts/7/coverage"): "web",
        ("GET", "/"): "web",
        ("GET", "/sign-in"): "web",
    }
    async with client(proxy) as session:
        for (method, path), by in expected.items():
            async with session.request(method, path) as answer:
                assert ((await answer.json())["by"], path) == (by, path)


@needs_nginx
async def test_a_frame_arrives_while_the_stream_stays_open(proxy: Proxy) -> None:
    async with client(proxy) as session:
        for path in ("/api/v1/events", "/api/v1/alerts/7/events"):
            async with session.get(path) as stream:
                assert await asyncio.wait_for(stream.content.readline(), 30) == b"event: first\n"


@needs_nginx
async def test_whoever_reads_too_much_cannot_stop_a_cancel(proxy: Proxy) -> None:
    async def status(session: aiohttp.ClientSession, method: str, path: str) -> int:
        async with session.request(method, path) as answer:
            return answer.status

    async with client(proxy) as session:
        async with asyncio.timeout(60):
            while 429 not in await asyncio.gather(*(status(session, "GET", "/whatever") for _ in range(500))):
                pass
        assert await status(session, "POST", "/api/v1/alerts/7/cancel") == 200
        assert await status(session, "POST", "/alerts/7/stop") == 200


@needs_nginx
async def test_bodies_cookies_headers_and_figures(proxy: Proxy) -> None:
    limit = int(Settings().http.body_limit)
    async with client(proxy, proxy.poster) as session:
        async with session.post("/api/v1/alerts", data=io.BytesIO(b"x" * (limit + 1))) as over:
            assert (await over.json())["bytes"] == limit + 1, "the gateway itself says what its limit is"
            assert "max-age" in over.headers["Strict-Transport-Security"]
            cookie = over.headers["Set-Cookie"].lower()
            assert all(word in cookie for word in ("secure", "httponly", "samesite=strict"))
        async with session.post("/api/v1/alerts", data=io.BytesIO(b"x" * 6_000_000)) as huge:
            assert huge.status == 413
        async with session.get("/metrics") as figures:
            assert figures.status == 200, "from this machine"


def client(proxy: Proxy, identity: Identity | None = None) -> aiohttp.ClientSession:
    """A session that speaks to nginx, with a certificate or without."""
    connector = aiohttp.TCPConnector(ssl=proxy.tls(identity), limit=50)
    return aiohttp.ClientSession(f"https://127.0.0.1:{proxy.port}", connector=connector, headers={"Host": NAME})


def test_the_locations_are_addresses_of_the_program() -> None:
    addresses = [route.address for route in (*API, *PAGES)]
    for word in ("/api/v1/alerts", "/api/v1/alerts/preview", "/sign-in", "/metrics", "/healthz", "/readyz"):
        assert word in addresses
    for start in ("/callbacks/", "/api/v1/alerts/{id}/cancel", "/api/v1/alerts/{id}/stop", "/api/v1/events"):
        assert [address for address in addresses if address.startswith(start)], start
