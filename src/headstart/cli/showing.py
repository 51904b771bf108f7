"""Where an episode is shown: in files, in the terminal or nowhere, and what is said of it at the end."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from headstart.cli.output import Output
from headstart.core.errors import UsageError

if TYPE_CHECKING:
    from headstart.config.scenario import Scenario
    from headstart.view.track import Track

OUTPUTS = ("html", "gif", "mp4", "png")


class Shown(NamedTuple):
    """Where an episode goes, and how fast."""

    html: Path | None
    gif: Path | None
    mp4: Path | None
    png: Path | None
    speed: float  # ticks a second
    silent: bool  # nothing is played in the terminal

    @property
    def files(self) -> dict[str, Path]:
        return {name: path for name in OUTPUTS if (path := getattr(self, name)) is not None}

    def mode(self, scenario: "Scenario") -> str | None:
        """The render mode: pictures for files, text for a terminal; None: nothing is drawn."""
        from headstart.view.drawn import IN_TERMINAL

        if self.files:
            return "rgb_array"
        if self.silent:
            return None
        if scenario.world not in IN_TERMINAL:
            raise UsageError(
                f"{scenario.name}: expected --html, --gif, --mp4 or --png FILE, for a {scenario.world} world is drawn in pixels only"
            )
        return "ansi"


def show(tracks: "Sequence[Track]", title: str, to: Shown, words: Sequence[str]) -> None:
    """Write the files that were asked for, or play in the terminal."""
    titles = [track.title for track in tracks]
    if to.files and (undrawn := [track.title for track in tracks if not track.frames]) and set(to.files) != {"html"}:
        why = next((line for track in tracks for line in track.says if line.startswith("not ")), "nothing drew it")
        raise UsageError(
            f"{undrawn[0]}: expected pictures for {', '.join(f'--{name}' for name in to.files)}, there are none: {why}; --html shows the record"
        )
    from headstart.core.files import write_bytes
    from headstart.view.track import side_by_side

    if to.html:
        from headstart.view.player import player

        write_bytes(to.html, player(tracks, title, to.speed, words))
    if to.gif:
        from headstart.view.gif import moving_picture

        write_bytes(to.gif, moving_picture(side_by_side(tracks), titles, to.speed))
    if to.mp4:
        from headstart.view.gif import film

        film(to.mp4, side_by_side(tracks), titles, to.speed)
    if to.png:
        from headstart.view.play import png

        write_bytes(to.png, png(tracks[0].frames[-1]))
    if not to.files and not to.silent and tracks[0].texts:
        from headstart.view import play

        play.show(tracks[0].texts, sys.stdout, to.speed, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ)


def say_next(out: Output, to: Shown, otherwise: str) -> None:
    """The last line: what to open, or what to type."""
    for path in to.files.values():
        out.say(f"open {path}")
    if not to.files and otherwise:
        out.say(f"watch it: `{otherwise}`")


def told(track: "Track") -> dict[str, object]:
    """A track for a program: what was found, without its moments."""
    return {"title": track.title, "about": track.about, "steps": len(track), "return": sum(track.reward), "says": track.says}
