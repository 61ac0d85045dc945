"""
The build backend: setuptools, with the drop-ins of C{twisted/plugins/} put into each
wheel, an editable one too.

Twisted finds plugins in any C{twisted/plugins} folder on the path that has no
C{__init__.py}. Left to setuptools, an editable install would put C{src/} on the path
and the drop-ins nowhere. They only name modules, so that a copy is as good as the
original.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

_DROP_INS = "twisted/plugins"


def build_wheel(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """
    Build a wheel (PEP 517).
    """
    name: str = build_meta.build_wheel(
        wheel_directory, config_settings, metadata_directory
    )
    _add_drop_ins(Path(wheel_directory, name))
    return name


def build_editable(
    wheel_directory: str,
    config_settings: dict[str, Any] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """
    Build an editable wheel (PEP 660).
    """
    name: str = build_meta.build_editable(
        wheel_directory, config_settings, metadata_directory
    )
    _add_drop_ins(Path(wheel_directory, name))
    return name


def _add_drop_ins(wheel: Path) -> None:
    """
    Put the drop-ins into a wheel, and into its list of files.
    """
    with zipfile.ZipFile(wheel) as archive:
        members = [(item, archive.read(item)) for item in archive.infolist()]
    drop_ins = sorted(Path(__file__).parent.joinpath(_DROP_INS).glob("*.py"))
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = []
        for path in drop_ins:
            content = path.read_bytes()
            name = f"{_DROP_INS}/{path.name}"
            archive.writestr(name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
            hashed = digest.rstrip(b"=").decode("ascii")
            lines.append(f"{name},sha256={hashed},{len(content)}\n")
        for item, content in members:
            if item.filename.endswith(".dist-info/RECORD"):
                content = "".join(lines).encode("utf-8") + content
            archive.writestr(item, content)
