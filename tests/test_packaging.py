"""What an installed copy needs to hold."""

from __future__ import annotations

import tomllib
from pathlib import Path

import streamsep

ROOT = Path(__file__).parent.parent


def test_every_folder_with_modules_is_a_package() -> None:
    # setuptools leaves a folder without __init__.py out, and nobody notices in an editable install.
    folders = {module.parent for name in ("streamsep", "kernels") for module in (ROOT / name).rglob("*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == streamsep.__version__
