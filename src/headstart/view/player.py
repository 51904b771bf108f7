"""One or two episodes as a page that plays them: pictures inside the file, and beside them what was done, paid and counted.

A picture is a PNG of few colours, the same ones in a whole episode; between the whole pictures, every KEY moments, it holds only the
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

SIZES = (
    (512, 127),
    (400, 63),
    (288, 31),
    (160, 15),
    (96, 15),
)  # pixels of the longer side and colours, until a page keeps within BYTES
BYTES = 4_800_000  # of all pictures of a page
KEY = 32  # moments between whole pictures
DIGITS = 5


def player(tracks: Sequence[Track], title: str, frames_per_second: float, words: Sequence[str] = ()) -> bytes:
    """The bytes of the page. Equal tracks give equal bytes. `words`: paragraphs below the title."""
    counting = {name for track in tracks for name in _counting(track)}
    data = {
        "tracks": [_data(*one, counting) for one in zip(tracks, _all_pictures(tracks), strict=True)],
        "fps": frames_per_second,
    }
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


def _counting(track: Track) -> list[str]:
    """Counters that change, but for those that stand there anyway."""
    changing = [name for i, name in enumerate(track.counter_names) if len({row[i] for row in track.counters if row}) > 1]
    return [name for name in changing if name not in ("total_reward", "return")]


def _data(track: Track, shown_as: tuple[list[str], list[int]], counting: set[str]) -> dict[str, Any]:
    pictures, size = shown_as
    shown = [i for i, name in enumerate(track.counter_names) if name in counting]
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


def _all_pictures(tracks: Sequence[Track]) -> list[tuple[list[str], list[int]]]:
    """As large as a page may be."""
    found: list[tuple[list[str], list[int]]] = []
    for size, colours in SIZES:
        found = [_pictures(track, size, colours) for track in tracks]
        if sum(len(one) for pictures, _ in found for one in pictures) <= BYTES:
            break
    return found


def _pictures(track: Track, longer: int, colours: int) -> tuple[list[str], list[int]]:
    """A data address for every moment, and width and height."""
    if not len(track.frames):
        return [], [0, 0]
    images = (fitted(frame, longer) for frame in track.frames)
    palette = palette_of([fitted(track.frames[int(at)], longer) for at in np.linspace(0, len(track.frames) - 1, 8)], colours)
    found, before = list[str](), np.zeros(0, np.uint8)
    size = [0, 0]
    for t, image in enumerate(images):
        size = list(image.size)
        now = np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE))
        whole = t % KEY == 0 or now.shape != before.shape
        found.append(_png(now if whole else np.where(now == before, colours, now).astype(np.uint8), palette, colours))
        before = now
    return found, size


def _png(index: Array, palette: Image.Image, clear: int) -> str:
    """`clear`: the index of pixels that did not change."""
    image = Image.fromarray(index, "P")
    colours = (palette.getpalette() or [])[: 3 * clear]
    image.putpalette(colours + [0] * (3 * (clear + 1) - len(colours)))
    file = io.BytesIO()
    image.save(file, "PNG", transparency=clear, compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def fitted(frame: Array, size: int) -> Image.Image:
    """A picture whose longer side is at most `size`."""
    image = Image.fromarray(frame)
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image
