"""`headstart formats` and `headstart export`: which recordings can be imported, and a dataset for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from headstart.cli.names import dataset_names
from headstart.cli.output import Json, output
from headstart.cli.project import typed_new

Dataset = Annotated[
    str,
    typer.Argument(metavar="DATASET[@VERSION]", help="As `headstart catalogue list` shows it", autocompletion=dataset_names),
]


def formats(
    name: Annotated[str | None, typer.Argument(help="One of them, for its layout")] = None, as_json: Json = False
) -> None:
    """List the formats of recorded demonstrations, or print the layout of one."""
    from headstart.core.errors import UsageError, nearest
    from headstart.dataset.formats.reading import ABOUT, FORMATS

    if name is not None and name not in FORMATS:
        raise UsageError(f"expected a format among {', '.join(FORMATS)}, got {name!r}{nearest(name, FORMATS)}")
    with output(as_json) as out:
        if name is None:
            out.found(formats=ABOUT)
            out.table([*ABOUT.items()])
            return
        layout = str(getattr(FORMATS[name], "LAYOUT", FORMATS[name].__doc__)).strip()
        out.found(format=name, layout=layout)
        for number, paragraph in enumerate(layout.split("\n\n")):
            if number:
                out.say("")
            if paragraph.startswith(" "):  # code, or a table
                out.verbatim(paragraph)
            else:
                out.say(" ".join(paragraph.split()))


def export(
    dataset: Dataset,
    kind: Annotated[str, typer.Option("--format", help="npz, minari, lerobot or hdf5")],
    out: Annotated[
        Path, typer.Option(parser=typed_new, metavar="PATH", help="A new file, or a new folder of minari and lerobot")
    ],
    as_json: Json = False,
) -> None:
    """Write a validated dataset for other programs: its accepted episodes, in the environment's own observations and actions."""
    from headstart.config.params import for_scenario, load_params
    from headstart.config.scenario import load_scenario
    from headstart.core.errors import InputError, UsageError, nearest
    from headstart.dataset.episodes_file import write_episodes
    from headstart.dataset.formats import lerobot, minari, npz
    from headstart.dataset.formats.reading import FORMATS
    from headstart.runs.exporting import dataset_at_hand, exported

    if kind not in FORMATS:
        raise UsageError(f"--format: expected one of {', '.join(FORMATS)}, got {kind!r}{nearest(kind, FORMATS)}")
    if out.exists():
        raise InputError(f"{out}: expected a path where nothing is yet")
    episodes, header, manifest = dataset_at_hand(dataset)
    scenario = load_scenario(manifest.scenario)
    found = exported(episodes, header, for_scenario(load_params(), scenario), scenario)
    match kind:
        case "hdf5":
            write_episodes(out, episodes, header)
        case "npz":
            npz.write(out, found.recording)
        case "lerobot":
            lerobot.write(out, found.recording, task=scenario.name)
        case _:
            minari.write(out, found.recording, (found.observations, found.actions), f"headstart/{manifest.dataset}-v0")
    infos = (f"infos.{key}" for key in scenario.setup.get("info", ()))  # a dataset keeps the counters of episodes only
    missing = [*header.absent, *infos]
    absent, name = f"; absent: {', '.join(missing)}" if missing else "", f"{manifest.dataset}@{manifest.version}"
    with output(as_json) as said:
        counts = {"episodes": len(episodes.table.length), "steps": len(episodes.reward)}
        said.found(path=out, dataset=name, format=kind, absent=missing, **counts)
        said.say(f"{out}: {name}, {counts['episodes']} episodes, {counts['steps']:,} steps{absent}", rest="  ")
