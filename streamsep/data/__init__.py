"""Songs to train on: composed from a bank of sounds or from nothing, imported, and mixed anew at every step."""
