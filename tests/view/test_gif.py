"""A moving picture: worlds side by side, a title above each, the same bytes again."""

import io

import numpy as np
from PIL import Image

from headstart.view.gif import GAP, LAST_FRAME_MS, SIZE, TITLE, moving_picture

RED, BLUE = ([255, 0, 0], [0, 0, 255])


def world(colour: list[int], frames: int = 3):  # type: ignore[no-untyped-def]
    return (np.full((600, 600, 3), colour, np.uint8) // (1 + frame) for frame in range(frames))


def test_two_worlds_stand_side_by_side_and_the_last_moment_stays() -> None:
    data = moving_picture([world(RED), world(BLUE)], ["untrained", "trained"], frames_per_second=8)

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
    first, again = (moving_picture([world(RED)], ["trained"], 8) for _ in range(2))
    assert first == again
