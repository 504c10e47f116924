"""Where models lie: those in the package and those that were imported. Knows folders; opens no model."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from streamsep.config import SHIPPED_MODELS

HOME = "STREAMSEP_MODELS"  # environment variable: the folder of imported models


def imported_models() -> Path:
    """The folder of imported models, one folder each; it need not exist."""
    named = os.environ.get(HOME)
    return Path(named) if named else platformdirs.user_data_path("streamsep", appauthor=False) / "models"


def find_model(name: str) -> Path | None:
    """The folder of a shipped or imported model of this name, or at this path; None when there is none."""
    for folder in (SHIPPED_MODELS / name, imported_models() / name, Path(name)):
        if folder.is_dir():
            return folder
    return None
