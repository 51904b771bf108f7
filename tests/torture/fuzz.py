"""Hostile inputs for every parser: each ends in a value or in an error of headstart, within a limit of memory, and without ending the process.

Inputs are read in forked children, a batch in each, so that a crash of a C library is counted and its input found.
"""

import contextlib
import faulthandler
import io
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import IO, Any

import torch
from tests.torture.counts import Counts
from tests.torture.parsers import Parser, parsers

from headstart.core.errors import HeadstartError

BATCH = 250
MEMORY = 512 << 20  # bytes beyond what the process has
ENDED = "the process ended with status"
ALARM_S = 60  # far above the two seconds that an input may take: only a hang ends here


def run(count: int, seed: int) -> Counts:
    """Read `count` inputs, as many of each parser; the parsers are dealt to as many processes as there are cores."""
    torch.set_num_threads(1)  # a thread of the parent would not be there in its children
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as home, contextlib.chdir(home):
        known = parsers(Path(home))
        each, cores = -(-count // len(known)), os.cpu_count() or 1

        def read_some(names: list[str], told: IO[str]) -> None:
            for name in names:
                for first in range(0, each, BATCH):
                    for problem in batch(name, known[name], seed, range(first, min(first + BATCH, each))):
                        print(problem, file=told, flush=True)

        parts = [forked(partial(read_some, list(known)[core::cores])) for core in range(cores)]
        problems = [line for part in parts for line in ended(*part)]
    return Counts(each * len(known), tuple(problems))


def forked(work: Callable[[IO[str]], None]) -> tuple[int, int]:
    """A child that does some work and tells lines; its id, and where they are read."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child:
        os.close(sending)
        return child, receiving
    try:
        os.close(receiving)
        with os.fdopen(sending, "w", errors="backslashreplace") as told:
            work(told)
        os._exit(0)
    except BaseException:
        traceback.print_exc(file=sys.__stdout__)
    finally:
        os._exit(1)


def ended(child: int, receiving: int) -> list[str]:
    """What a child told, and one more line unless it ended well."""
    with os.fdopen(receiving, errors="replace") as told:
        lines = told.read().splitlines()
    _, status = os.waitpid(child, 0)
    return lines + ([f"{ENDED} {status}"] if status else [])


def batch(name: str, parser: Parser, seed: int, numbers: range) -> list[str]:
    """The problems of inputs in a child; after a crash the next child goes on behind the input that caused it."""
    problems: list[str] = []
    while numbers:
        lines = ended(*forked(partial(_read_all, name, parser, seed, numbers)))
        problems += [line for line in lines if not line.isdecimal() and not line.startswith(ENDED)]
        if not (lines and lines[-1].startswith(ENDED)):
            break
        last = next((int(line) for line in reversed(lines) if line.isdecimal()), numbers[0])
        problems.append(f"{name} {seed} {last}: {lines[-1]}")
        numbers = range(last + 1, numbers.stop)
    return problems


def _read_all(name: str, parser: Parser, seed: int, numbers: range, told: IO[str]) -> None:
    """Tell the number of each input before it is read, and a line for each problem."""
    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    faulthandler.disable()
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what C libraries print
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    for number in numbers:
        print(number, file=told, flush=True)
        signal.alarm(ALARM_S)
        if problem := read_one(parser, made(name, parser, seed, number)):
            print(f"{name} {seed} {number}: {problem}", file=told, flush=True)


def made(name: str, parser: Parser, seed: int, number: int) -> Any:
    """The input of that number: the same every time."""
    return parser.make(Random(f"{name} {seed} {number}"))


def read_one(parser: Parser, data: Any) -> str | None:
    """What is wrong with how an input was read."""
    try:
        parser.read(data)
    except HeadstartError as error:
        return None if str(error).strip() else "an error without words"
    except BaseException as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "headstart" in frame.filename]
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return f"{type(error).__name__} at {place}: {' '.join(str(error).split())[:200]}"
    return None
