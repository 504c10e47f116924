"""How good a separation is: metrics, ideal masks to compare with, and `streamsep evaluate`."""
