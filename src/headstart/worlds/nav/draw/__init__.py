"""The robot's world for eyes; nothing that decides what happens imports this."""
