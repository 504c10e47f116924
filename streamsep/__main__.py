"""``python -m streamsep`` is the command line."""

from streamsep.cli import main

if __name__ == "__main__":
    main()
