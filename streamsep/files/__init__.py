"""Separating files: one song or a folder of them, block by block, at constant memory."""
