"""A contact sheet: every episode of a dataset as a small picture with its outcome, return, length and anomalies, to sort and to filter."""

import base64
import io
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from headstart.config.params import Params
from headstart.dataset.anomalies import anomalies, usual
from headstart.dataset.anomaly_rules import Anomaly
from headstart.dataset.episodes import Episodes
from headstart.dataset.episodes_file import read_episodes
from headstart.view.page import page
from headstart.view.play_dataset import Opened
from headstart.view.play_proved import bounds_of
from headstart.view.thumbnails import SIZE, thumbnails

COLUMNS, GAP, LINES = 20, 8, 30  # of a PNG: cells a row, pixels between them and below each picture
PAPER, INK, FAINT, BAD = (255, 255, 255), (28, 30, 34), (90, 95, 104), (168, 32, 13)


class Card(NamedTuple):
    """One episode."""

    number: int
    name: str
    agent: int | None  # None: the world has one
    outcome: str  # success or failure, of a harmful one with " with harm" behind it; or "not recorded"
    total: float | None  # None: not recorded
    length: int
    rejected: str  # by which rules; empty: it was accepted, or nothing is known
    marks: tuple[Anomaly, ...]
    image: Image.Image

    @property
    def badges(self) -> list[str]:
        """Kinds of anomalies, each once."""
        return list(dict.fromkeys(mark.kind for mark in self.marks))

    @property
    def text(self) -> str:
        """What stands below the picture."""
        return f"{self.outcome}, return {'not recorded' if self.total is None else f'{self.total:.4g}'}, {self.length} steps"


def sheet(dataset: Opened, params: Params, count: int, as_png: bool) -> tuple[bytes, str]:
    """The bytes of the sheet of the first `count` episodes, and a sentence that says what is on it."""
    cards, why = list[Card](), ""
    for file in dataset.files:
        episodes, header = read_episodes(file)
        chosen = np.arange(min(count - len(cards), len(episodes.table.length)))
        images, why = thumbnails(dataset, episodes, header, chosen, params)
        known = usual(episodes, header.observation, dataset.scenario, bounds_of(dataset, params), header.absent)
        numbers = _numbers(dataset, episodes, len(cards))
        for e, image in zip(chosen.tolist(), images, strict=True):
            cards.append(_card(dataset, episodes, e, numbers, anomalies(episodes, e, known), image, header.absent))
        if len(cards) >= count:
            break
    total = len(dataset.rows) if dataset.raw else None
    says = _says(dataset, cards, total, why)
    return (_png(cards) if as_png else _html(dataset, cards, says)), says


def _numbers(dataset: Opened, episodes: Episodes, before: int) -> dict[str, int]:
    """Name → number of an episode in the index, or in the order of the files where there is none."""
    if dataset.rows:
        return {row.episode_id: n for n, row in enumerate(dataset.rows)}
    return {name.decode(): before + e for e, name in enumerate(episodes.table.episode_id)}


def _card(
    dataset: Opened,
    episodes: Episodes,
    e: int,
    numbers: dict[str, int],
    marks: tuple[Anomaly, ...],
    image: Image.Image,
    absent: Sequence[str],
) -> Card:
    table, name = episodes.table, episodes.table.episode_id[e].decode("ascii", "replace")
    number = numbers.get(name, e)
    row = dataset.rows[number] if dataset.rows and number < len(dataset.rows) else None
    harm = " with harm" if table.harm[e] and "harm" not in absent else ""
    outcome = "not recorded" if "success" in absent else ("success" if table.success[e] else "failure") + harm
    total = None if "rewards" in absent else float(table.total_reward[e])
    agent = int(table.agent[e]) if table.agent.any() else None
    return Card(number, name, agent, outcome, total, int(table.length[e]), row.reasons if row else "", marks, image)


def _says(dataset: Opened, cards: Sequence[Card], total: int | None, why: str) -> str:
    outcomes = Counter(word for card in cards for word in ([card.outcome] if "not" in card.outcome else card.outcome.split()))
    marked = sum(bool(card.marks) for card in cards)
    of = f" of {total:,}" if total and total > len(cards) else ""
    said = ", ".join(f"{outcomes[name]:,} {name}" for name in ("success", "failure", "not recorded") if outcomes[name])
    said += f"; {outcomes['harm']:,} with harm" if outcomes["harm"] else ""
    drawn = "the last moment of each" if not why else f"curves of the return, since the world is not drawn ({why})"
    return f"{dataset.name}: {len(cards):,}{of} episodes: {said}; {marked:,} with anomalies; pictures: {drawn}"


def _html(dataset: Opened, cards: Sequence[Card], says: str) -> bytes:
    images: dict[int, str] = {}
    for card in cards:
        if id(card.image) not in images:
            images[id(card.image)] = _data(card.image)
    shown = [(card, images[id(card.image)]) for card in cards]
    return page(
        "sheet.html",
        f"{dataset.name}: {len(cards):,} episodes",
        None,
        ["sheet.js"],
        styles=["sheet.css"],
        cards=shown,
        says=says,
        what=dataset.name,
    )


def _data(image: Image.Image) -> str:
    file = io.BytesIO()
    image.quantize(32, dither=Image.Dither.NONE).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _png(cards: Sequence[Card]) -> bytes:
    columns = min(COLUMNS, max(1, len(cards)))
    rows = -(-len(cards) // columns)
    wide, high = SIZE + GAP, max((card.image.height for card in cards), default=SIZE) + LINES + GAP
    image = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    for n, card in enumerate(cards):
        x, y = GAP + n % columns * wide, GAP + n // columns * high
        image.paste(card.image, (x, y))
        total = "return ?" if card.total is None else f"{card.total:.3g}"
        agent = "" if card.agent is None else f"/{card.agent}"
        draw.text((x, y + card.image.height + 2), f"{card.number}{agent} {card.outcome}", INK, font)
        second = ", ".join(card.badges) if card.marks else f"{total}, {card.length} steps"
        draw.text((x, y + card.image.height + 15), second[:24], BAD if card.marks else FAINT, font)
    file = io.BytesIO()
    image.quantize(128, dither=Image.Dither.NONE).save(file, "PNG")
    return file.getvalue()
