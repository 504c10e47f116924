"""Sound in and sound out: files, sample rates, frames, channels. Imports nothing of streamsep but its errors."""
