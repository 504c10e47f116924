"""The arrangement of arXiv 2604.09371: a decoder-only language model writes stem after stem of a whole segment.

Offline: within a segment everything is heard before the first token is written. The streaming model is elsewhere.
"""
