"""Secrets on disk: made once, readable by us alone; and a client id for each process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from channels.loudspeaker import keys
from gateway.channel import Misconfigured


def test_a_missing_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "signing.pem"
    made, fresh = keys.signing_key(path)
    again, second = keys.signing_key(path)
    assert (fresh, second) == (True, False)
    assert made.private_bytes_raw() == again.private_bytes_raw()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["signing.pem"]


def test_a_raw_key_of_32_bytes_is_good_too(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(range(32)))
    key, fresh = keys.signing_key(tmp_path / "raw")
    assert key.private_bytes_raw() == bytes(range(32))
    assert not fresh


def test_public_keys_are_read_in_every_form(tmp_path: Path) -> None:
    private, _ = keys.signing_key(tmp_path / "k")
    public = private.public_key()
    for form in (keys.public_pem(public), public.public_bytes_raw()):
        assert keys.public_key(form) == public
    (tmp_path / "k.pub").write_bytes(keys.public_pem(public))
    assert keys.public_half(tmp_path / "k") == keys.public_half(tmp_path / "k.pub") == public
    with pytest.raises(ValueError, match="PEM"):
        keys.public_key(b"no key")


def other_kind() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [b"", b"hello", other_kind()])
def test_a_file_that_is_no_ed25519_key_is_explained(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(Misconfigured, match="no Ed25519 private key"):
        keys.signing_key(tmp_path / "k")
    assert (tmp_path / "k").read_bytes() == content


def test_a_key_that_cannot_be_read_or_written_is_explained(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"):
        keys.signing_key(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Misconfigured, match="cannot be"):
        keys.signing_key(tmp_path / "file" / "k")


def test_each_process_has_its_own_client_id_and_keeps_it(tmp_path: Path) -> None:
    first, second = keys.identity(tmp_path, "tongluo"), keys.identity(tmp_path, "tongluo")
    assert first.client_id != second.client_id
    first.release()
    again = keys.identity(tmp_path, "tongluo")
    assert again.client_id == first.client_id
    second.release()
    again.release()


def test_so_many_processes_are_a_mistake(tmp_path: Path) -> None:
    held = [keys.identity(tmp_path, "x") for _ in range(keys.PROCESSES)]
    assert len({one.client_id for one in held}) == keys.PROCESSES
    with pytest.raises(Misconfigured, match="client_id"):
        keys.identity(tmp_path, "x")
    for one in held:
        one.release()
