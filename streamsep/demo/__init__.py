"""The one command that shows everything: a composed song, separated while it plays, measured and drawn."""
