"""The whole net as one streaming module, and its files."""
