"""A moving picture: worlds side by side, a title above each, the same bytes again."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.core.errors import MissingExtra
from headstart.view.gif import FILM_SIZE, GAP, LAST_FRAME_MS, SIZE, TITLE, film, moving_picture

RED, BLUE = ([255, 0, 0], [0, 0, 255])


def world(colour: list[int], frames: int = 3):  # type: ignore[no-untyped-def]
    return (np.full((600, 600, 3), colour, np.uint8) // (1 + frame) for frame in range(frames))


def test_two_worlds_stand_side_by_side_and_the_last_moment_stays() -> None:
    data = moving_picture(zip(world(RED), world(BLUE), strict=True), ["untrained", "trained"], frames_per_second=8)

    picture = Image.open(io.BytesIO(data))
    assert picture.size == (2 * SIZE + GAP, TITLE + SIZE)
    durations, corners = [], []
    for frame in range(picture.n_frames):  # type: ignore[attr-defined]
        picture.seek(frame)
        durations.append(picture.info["duration"])
        shown = picture.convert("RGB")
        corners.append([shown.getpixel((x, TITLE + SIZE // 2)) for x in (SIZE // 2, SIZE + GAP + SIZE // 2)])
    assert durations == [120, 120, LAST_FRAME_MS]  # GIF counts hundredths of a second
    for red, blue in corners:
        assert red[0] > red[2] and blue[2] > blue[0]  # type: ignore[index]


def test_equal_frames_give_equal_bytes() -> None:
    first, again = (moving_picture(zip(world(RED)), ["trained"], 8) for _ in range(2))
    assert first == again


def test_a_film_is_read_again_with_its_pictures_and_equal_ones_give_equal_bytes(tmp_path: Path) -> None:
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    for name in ("one.mp4", "two.mp4"):
        film(tmp_path / name, zip(world(RED, 5), world(BLUE, 5), strict=True), ["untrained", "trained"], 8)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "one.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    read = subprocess.run(command, capture_output=True, check=True)
    frames = np.frombuffer(read.stdout, np.uint8).reshape(5, TITLE + FILM_SIZE, 2 * FILM_SIZE + GAP, 3)
    assert b"8 fps" in read.stderr and b"h264" in read.stderr
    left, right = (frames[0][TITLE + 100, x].astype(int) for x in (FILM_SIZE // 2, FILM_SIZE + GAP + FILM_SIZE // 2))
    assert left[0] > 200 > left[2] and right[2] > 200 > right[0]


def test_without_ffmpeg_a_film_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'headstart\[mp4\]'"):
        film(tmp_path / "one.mp4", zip(world(RED)), ["trained"], 8)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", "\x1b[2J\u202e", "x" * 500, ""])
def test_any_title_stands_above_its_world(title: str) -> None:
    with Image.open(io.BytesIO(moving_picture(zip(world(RED)), [title], 8))) as picture:
        assert picture.size == (SIZE, TITLE + SIZE)
