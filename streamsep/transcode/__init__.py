"""`streamsep codec`: sound files ↔ token files, what is lost between them, and checks against reference vectors."""
