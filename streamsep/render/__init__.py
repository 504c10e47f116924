"""Masks or decoded spectra → the sound of stems."""
