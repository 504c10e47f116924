"""What is installed and how fast it is: `streamsep models` and `streamsep doctor`."""
