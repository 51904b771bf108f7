"""One or two episodes as a page that plays them: pictures inside the file, and beside them what was done, paid and counted.

A picture is a PNG of at most COLOURS colours, the same ones in a whole episode; between the whole pictures, every KEY moments, it holds only the
pixels that changed, and the others are transparent.
"""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.arrays import Array
from headstart.view.gif import palette_of
from headstart.view.page import page
from headstart.view.track import Track

SIZE = 512  # pixels of the longer side, at most
COLOURS = 127  # of an episode
CLEAR = COLOURS  # index of a pixel that did not change
KEY = 32  # moments between whole pictures
DIGITS = 5


def player(tracks: Sequence[Track], title: str, frames_per_second: float, words: Sequence[str] = ()) -> bytes:
    """The bytes of the page. Equal tracks give equal bytes. `words`: paragraphs below the title."""
    data = {"tracks": [_data(track) for track in tracks], "fps": frames_per_second}
    return page(
        "player.html",
        title,
        {"episode": data},
        ["player.js"],
        styles=["player.css"],
        tracks=tracks,
        words=words,
        steps=_longest(tracks),
    )


def _longest(tracks: Sequence[Track]) -> int:
    """The last moment that can be seen."""
    return max(max(len(track), len(track.frames) - 1) for track in tracks)


def _data(track: Track) -> dict[str, Any]:
    pictures, size = _pictures(track)
    changing = [i for i in range(len(track.counter_names)) if len({row[i] for row in track.counters if row}) > 1]
    shown = [i for i in changing if track.counter_names[i] not in ("total_reward", "return")]  # which stand there anyway
    return {
        "title": track.title,
        "size": size,
        "key": KEY,
        "frames": pictures,
        "actions": list(track.action_names),
        "action": track.action if track.action_names else [[_short(value) for value in row] for row in track.action],
        "mask": ["" if mask is None else "".join(map(str, mask)) for mask in track.mask],
        "probability": track.probability,
        "reward": [_short(value) for value in track.reward],
        "terms": list(track.term_names),
        "paid": [[_short(value) for value in row] for row in track.terms],
        "counters": [track.counter_names[i] for i in shown],
        "counted": [[_short(row[i]) for i in shown] if row else [] for row in track.counters],
        "end": track.end,
        "marks": [{"kind": m.kind, "first": m.first_step, "last": m.last_step, "text": m.text} for m in track.marks],
    }


def _short(value: float) -> float | int | str:
    """A number of DIGITS digits; what is no number as a word, since JSON has none."""
    if not np.isfinite(value):
        return str(value)
    short = float(f"{value:.{DIGITS}g}")
    return int(short) if short == int(short) and abs(short) < 1e15 else short


def _pictures(track: Track) -> tuple[list[str], list[int]]:
    """A data address for every moment, and width and height."""
    if not len(track.frames):
        return [], [0, 0]
    images = (fitted(frame, SIZE) for frame in track.frames)
    palette = palette_of([fitted(track.frames[int(at)], SIZE) for at in np.linspace(0, len(track.frames) - 1, 8)], COLOURS)
    found, before = list[str](), np.zeros(0, np.uint8)
    size = [0, 0]
    for t, image in enumerate(images):
        size = list(image.size)
        now = np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE))
        whole = t % KEY == 0 or now.shape != before.shape
        found.append(_png(now if whole else np.where(now == before, CLEAR, now).astype(np.uint8), palette))
        before = now
    return found, size


def _png(index: Array, palette: Image.Image) -> str:
    image = Image.fromarray(index, "P")
    colours = (palette.getpalette() or [])[: 3 * COLOURS]
    image.putpalette(colours + [0] * (3 * (COLOURS + 1) - len(colours)))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=CLEAR, compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def fitted(frame: Array, size: int) -> Image.Image:
    """A picture whose longer side is at most `size`."""
    image = Image.fromarray(frame)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image
