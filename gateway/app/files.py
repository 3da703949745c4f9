"""Where shipped files are: templates, sample config, reference data; inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def shipped(*names: str) -> Path:
    """The path of a shipped file or folder, e.g. `shipped("config", "tongluo.yaml")`."""
    packaged = Path(str(files("gateway"))) / "_data"
    root = packaged if packaged.is_dir() else Path(str(files("gateway"))).parent
    return root.joinpath(*names)


def resolved(name: str, config: Path | None) -> Path:
    """A file that the settings name: as given, else beside the config file's folder, else as shipped."""
    path = Path(name).expanduser()
    if path.is_absolute() or path.exists():
        return path
    beside = [config.parent / path, config.parent.parent / path] if config else []
    return next((candidate for candidate in [*beside, shipped(name)] if candidate.exists()), path)
