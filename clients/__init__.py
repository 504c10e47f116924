"""Clients of ``streamsep serve``. Nothing here imports more of streamsep than its protocol."""
