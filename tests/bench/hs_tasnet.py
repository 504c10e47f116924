"""The model of PyPI's hs-tasnet without the rest of its package, which wants torchaudio, torchcodec and an ffmpeg
program to load: only its functions for files, pictures and training do.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from tests.bench.peers.stand_ins import stand_in


def hs_tasnet_module() -> Any:
    """The package's file of the model as a module. Raises ImportError when it is not there."""
    package = importlib.util.find_spec("hs_tasnet")
    if package is None or package.origin is None:
        raise ImportError("hs-tasnet is not installed")
    stand_in("torchaudio")
    stand_in("torchcodec")
    path = Path(package.origin).with_name("hs_tasnet.py")
    spec = importlib.util.spec_from_file_location("hs_tasnet_model", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
