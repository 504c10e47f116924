"""Tokens ↔ sound: STFT, envelopes, residual vector quantizers, decoder."""
