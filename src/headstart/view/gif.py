"""Worlds side by side as one animated GIF, with a title above each; Pillow does the encoding (extra `view`)."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE, GAP, TITLE = 288, 12, 30  # pixels: of a world, between two, of the line above them
PAPER, INK = (255, 255, 255), (24, 26, 30)
COLOURS, SAMPLED = 64, 5  # in all frames; frames from which they are taken
LAST_FRAME_MS = 2500  # so that the end is seen before it begins anew


def moving_picture(worlds: Sequence[Iterator[Any]], titles: Sequence[str], frames_per_second: float) -> bytes:
    """`worlds`: for each, its frames [H, W, 3] u8, all equally many. Equal frames give equal bytes."""
    images = [_side_by_side(moment, titles) for moment in zip(*worlds, strict=True)]
    palette = _palette(images)
    pages = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 / frames_per_second)] * (len(pages) - 1) + [LAST_FRAME_MS]
    file = io.BytesIO()
    pages[0].save(file, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _palette(images: Sequence[Image.Image]) -> Image.Image:
    """The colours that are commonest in the first, the last and some frames between; one palette, so that nothing flickers."""
    some = [images[at] for at in np.linspace(0, len(images) - 1, SAMPLED).astype(int)]
    width, height = some[0].size
    column = Image.new("RGB", (width, height * len(some)))
    for row, image in enumerate(some):
        column.paste(image, (0, row * height))
    return column.quantize(COLOURS)


def _side_by_side(moment: Sequence[np.ndarray], titles: Sequence[str]) -> Image.Image:
    page = Image.new("RGB", (len(moment) * (SIZE + GAP) - GAP, TITLE + SIZE), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    for index, (frame, title) in enumerate(zip(moment, titles, strict=True)):
        left = index * (SIZE + GAP)
        draw.text((left + SIZE / 2, TITLE / 2), title, INK, font, anchor="mm")
        world = Image.fromarray(frame)
        world.thumbnail((SIZE, SIZE), Image.Resampling.BOX)
        page.paste(world, (left + (SIZE - world.width) // 2, TITLE))
    return page
