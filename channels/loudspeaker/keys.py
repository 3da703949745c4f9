"""Where the channel's secrets lie on disk: the signing key, and a client id that stays the same over restarts.

Everything here reads and writes files: the channel calls it in a thread, once, when it starts.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.channel import Misconfigured

RAW = 32
PROCESSES = 64


def signing_key(path: Path) -> tuple[Ed25519PrivateKey, bool]:
    """The key in `path` (PEM, or 32 raw bytes) and whether it is new: a missing file is written, readable by us alone.

    Raises Misconfigured with what to do.
    """
    try:
        return _private(path.read_bytes()), False
    except FileNotFoundError:
        return _create(path), True
    except OSError as problem:
        raise Misconfigured(f"signing_key_file {path} cannot be read: {problem.strerror}") from None
    except (ValueError, TypeError):
        raise Misconfigured(
            f"signing_key_file {path} holds no Ed25519 private key (PEM without a passphrase, or 32 raw bytes); "
            "remove the file to have a new one made, and give its public key to the devices"
        ) from None


def _private(content: bytes) -> Ed25519PrivateKey:
    if len(content) == RAW:
        return Ed25519PrivateKey.from_private_bytes(content)
    key = load_pem_private_key(content, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")
    return key


def _create(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        os.link(fresh, path)
    except FileExistsError:
        return _private(path.read_bytes())
    except OSError as problem:
        raise Misconfigured(f"signing_key_file {path} cannot be written: {problem.strerror}") from None
    finally:
        fresh.unlink(missing_ok=True)
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """The public key as devices are given it: PEM, SubjectPublicKeyInfo."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_key(content: bytes) -> Ed25519PublicKey:
    """A public key from PEM or from 32 raw bytes. Raises ValueError."""
    if len(content) == RAW:
        return Ed25519PublicKey.from_public_bytes(content)
    key = load_pem_public_key(content)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")
    return key


def public_half(path: Path) -> Ed25519PublicKey:
    """The public half of a signing key file, or the public key in a PEM file of its own. Raises ValueError or OSError."""
    content = path.read_bytes()
    return public_key(content) if b"PUBLIC KEY" in content else _private(content).public_key()


@dataclass(slots=True)
class Identity:
    """A client id that no other process of this folder uses while it is open."""

    client_id: str
    _lock: TextIO

    def release(self) -> None:
        """Let another process have it."""
        self._lock.close()


def identity(folder: Path, prefix: str) -> Identity:
    """The first free client id of `folder`: the same after a restart, another for a second process beside this one.

    The broker keeps receipts for a client id while we are away, and throws out the older of two that share one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in _slots(folder):
        file = path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        return Identity(f"{prefix}-{_mark(file)}", file)
    raise Misconfigured(f"{PROCESSES} processes already use {folder}: end some, or set client_id")


def _slots(folder: Path) -> Sequence[Path]:
    return [folder / f"session-{number}" for number in range(PROCESSES)]


def _mark(file: TextIO) -> str:
    file.seek(0)
    mark = file.read().strip()
    if not mark:
        mark = uuid.uuid4().hex[:12]
        file.write(mark)
        file.flush()
    return mark
