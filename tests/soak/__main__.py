"""``python -m tests.soak NAME …``: long runs, one module of this folder a name. Knows names; knows no run.

python -m tests.soak engine long --frames 1000000
python -m tests.soak engine pages --operations 100000
python -m tests.soak serve isolation --minutes 10
python -m tests.soak serve fuzz --messages 100000
python -m tests.soak live callbacks --block 256
python -m tests.soak int8 songs/
"""

from __future__ import annotations

import importlib
import importlib.util
import sys


def main(argv: list[str]) -> int:
    """Exit code of ``tests.soak.NAME.main(argv)``."""
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if not name.isidentifier() or importlib.util.find_spec(f"tests.soak.{name}") is None:
        print(f"There is no soak '{name}'.\n{__doc__}", file=sys.stderr)
        return 2
    return importlib.import_module(f"tests.soak.{name}").main(argv[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
