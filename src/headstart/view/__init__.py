"""For eyes only: no stage depends on what is here."""
