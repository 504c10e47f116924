"""How late the stems are, from sound in to sound out: measured by what comes back, not added up."""
