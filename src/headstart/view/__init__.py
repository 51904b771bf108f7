"""For eyes only: no stage depends on what is here but `report`, which writes it."""

WIDTH = 80  # columns of a terminal
