"""Mixture frame → what the language model is told, and the guide's masks."""
