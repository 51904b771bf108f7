"""Tests of storage run commands as those of the command line do."""

from tests.cli.conftest import command

__all__ = ["command"]
