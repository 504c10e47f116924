"""The errors a user can cause and mend. Each text is one sentence that names the thing and the way out."""

from __future__ import annotations


class StreamsepError(Exception):
    """Base of all expected failures. The command line prints its text and ends with exit code 2."""


class AudioError(StreamsepError):
    """A sound file that cannot be read, or sound that cannot be used."""


class OutputError(StreamsepError):
    """Something that cannot be written: folder, disk, format or an existing file in the way."""


class OptionError(StreamsepError):
    """An option whose value is unknown or does not fit the others."""


class DeviceError(StreamsepError):
    """A sound device that is unknown, missing, busy, or does not do what is asked of it."""


class CapacityError(StreamsepError):
    """No place or no memory for one stream more."""


class ParkedError(StreamsepError):
    """A parked stream that is damaged, or that another model or another render must resume."""
