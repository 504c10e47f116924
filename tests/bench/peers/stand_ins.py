"""Empty modules for packages that peers import but do not need here, where those cannot be loaded.

torchaudio and torchcodec read, write and resample files for some peers; they hold compiled code for one version of
torch, and of CUDA. Nothing that the race runs calls them: where it did, an AttributeError or TypeError would say so.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Mapping

_NAMES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "torchaudio": {"torchaudio": (), "torchaudio.transforms": (), "torchaudio.functional": ("resample",)},
    "torchcodec": {
        "torchcodec": (),
        "torchcodec.encoders": ("AudioEncoder",),
        "torchcodec.decoders": ("AudioDecoder",),
    },
}


def stand_in(package: str) -> bool:
    """Import ``package``, or put empty modules in its place; True when these stand there now."""
    try:
        for name in _NAMES[package]:
            importlib.import_module(name)
    except Exception:  # a library that does not load raises OSError, RuntimeError and more
        for known in [known for known in sys.modules if known.split(".")[0] == package]:
            del sys.modules[known]
    else:
        return False
    modules = {name: types.ModuleType(name) for name in _NAMES[package]}
    for name, attributes in _NAMES[package].items():
        for attribute in attributes:
            setattr(modules[name], attribute, None)
        above, _, last = name.rpartition(".")
        if above:
            setattr(modules[above], last, modules[name])
    sys.modules.update(modules)
    return True
