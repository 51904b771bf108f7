"""For eyes only: no stage depends on what is here."""

WIDTH = 80  # columns of a terminal
