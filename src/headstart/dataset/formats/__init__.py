"""Formats of demonstrations that other programs write, each read into a `Recording`."""
