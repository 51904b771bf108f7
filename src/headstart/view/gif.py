"""Worlds side by side as one moving picture, with a title above each: a GIF by Pillow (extra `view`) or a film by ffmpeg (extra `mp4`)."""

import io
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headstart.core.errors import InputError, MissingExtra
from headstart.core.files import fresh_file

SIZE, GAP, TITLE = 288, 12, 30  # pixels: of a world, between two, of the line above them
FILM_SIZE = 480
PAPER, INK = (255, 255, 255), (24, 26, 30)
COLOURS, SAMPLED = 64, 5  # in all frames; frames from which they are taken
LAST_FRAME_MS = 2500  # so that the end is seen before it begins anew


def moving_picture(moments: Iterator[Sequence[Any]], titles: Sequence[str], frames_per_second: float) -> bytes:
    """`moments`: of each, the pictures [H, W, 3] u8 of all worlds. Equal pictures give equal bytes."""
    images = [_side_by_side(moment, titles, SIZE) for moment in moments]
    palette = palette_of([images[at] for at in np.linspace(0, len(images) - 1, SAMPLED).astype(int)], COLOURS)
    pages = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    durations = [round(1000 / frames_per_second)] * (len(pages) - 1) + [LAST_FRAME_MS]
    file = io.BytesIO()
    pages[0].save(file, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def film(path: Path, moments: Iterator[Sequence[Any]], titles: Sequence[str], frames_per_second: float) -> None:
    """Write an MP4 file (H.264). Equal pictures give equal bytes from one ffmpeg. MissingExtra without imageio-ffmpeg."""
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "a film needs the package imageio-ffmpeg; `pip install 'headstart[mp4]'`, or write --gif or --html"
        ) from error
    images = (_side_by_side(moment, titles, FILM_SIZE) for moment in moments)
    first = next(images)
    width, height = (side + side % 2 for side in first.size)  # H.264 counts in pairs of pixels
    exact = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart"]
    with fresh_file(path) as temporary:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        command += ["-r", f"{frames_per_second:g}", "-i", "-", "-an", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "20"]
        command += [*exact, "-f", "mp4", str(temporary)]
        ffmpeg = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        frames = b"".join(_padded(image, width, height) for image in (first, *images))
        _, said = ffmpeg.communicate(frames)
        if ffmpeg.returncode:
            raise InputError(f"{path}: ffmpeg could not write it: {' '.join(said.decode(errors='replace').split())[-200:]}")


def _padded(image: Image.Image, width: int, height: int) -> bytes:
    page = Image.new("RGB", (width, height), PAPER)
    page.paste(image)
    return page.tobytes()


def palette_of(some: Sequence[Image.Image], colours: int) -> Image.Image:
    """The colours that are commonest in some of the frames; one palette for all, so that nothing flickers."""
    width, height = some[0].size
    column = Image.new("RGB", (width, height * len(some)))
    for row, image in enumerate(some):
        column.paste(image, (0, row * height))
    return column.quantize(colours)


def _side_by_side(moment: Sequence[np.ndarray], titles: Sequence[str], size: int) -> Image.Image:
    worlds = [Image.fromarray(frame) for frame in moment]
    for world in worlds:
        world.thumbnail((size, size), Image.Resampling.BOX)
    page = Image.new("RGB", (len(moment) * (size + GAP) - GAP, TITLE + max(world.height for world in worlds)), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(16)
    for index, (world, title) in enumerate(zip(worlds, titles, strict=True)):
        left = index * (size + GAP)
        draw.text((left + size / 2, TITLE / 2), _clipped(draw, title, font, size), INK, font, anchor="mm")
        page.paste(world, (left + (size - world.width) // 2, TITLE))
    return page


def _clipped(draw: ImageDraw.ImageDraw, title: str, font: Any, size: int) -> str:
    """As much of a title as stands above its world."""
    shown = "".join(c if c.isprintable() else "?" for c in title)
    while draw.textlength(shown, font) > size and len(shown) > 1:
        shown = f"{shown[:-2]}…"
    return shown
