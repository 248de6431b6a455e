"""``hwgen verify``: prove a finished build again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwgen.cli.console import err, out, print_json
from hwgen.cli.guard import guarded

NAME = "verify"
EXAMPLES = (
    "Examples:  hwgen verify build/resnet18_tt-zcu104 --frames 4 --seed 7   |   "
    "hwgen verify build/resnet18_tt-zcu104 --data ~/data --waves run.fst   |   "
    "hwgen verify build/resnet18_tt-zcu104 --tamper 1000000"
)


@guarded
def command(
    folder: Annotated[Path, typer.Argument(help="Build directory.")],
    frames: Annotated[int, typer.Option(help="Images, back to back, the first one cold.")] = 2,
    seed: Annotated[int, typer.Option(help="Choice of images and random initial state.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Data set folder: real test images.")] = None,
    image: Annotated[Path | None, typer.Option(help="Image file instead of the build's.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Root key instead of the build's.")] = None,
    tamper: Annotated[int | None, typer.Option(help="Change this stored bit of the image, checksums made right again: "
                                                    "the hardware must refuse it (exit code 5).")] = None,
    waves: Annotated[Path | None, typer.Option(help="Write a wave dump (FST) to this file.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Cache of compiled simulators [~/.cache/hwgen].")] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable result.")] = False,
) -> None:
    """Simulate the whole network on the generated hardware and compare every output with the golden model.

    Exit code 3: an element differs; 5: the hardware refused the image or the key.
    """
    from hwgen.pipeline.build import default_cache
    from hwgen.pipeline.check import make_folder
    from hwgen.pipeline.reverify import Again, reverify

    again = Again(cache=cache or default_cache(), frames=frames, seed=seed, data=data, key_file=key_file, image=image,
                  waves=waves, tamper=tamper)
    make_folder(again.cache, "--cache")
    with err.status("simulating (the simulator is compiled once)"):
        values = reverify(folder, again)
    if json:
        print_json(values)
        return
    cycles = [c["cycles"] for c in values["counters"]]
    out.print(f"[green]every output bit equal[/]: {values['elements_compared']:,} values of {values['frames']} frames "
              f"({values['images']})")
    together = values["together"]
    at_once = "" if together is None else (f", {together['cycles'] / together['frames']:,.0f} per frame with all "
                                           f"{together['engines']} engines at work")
    out.print(f"cycles: {', '.join(f'{c:,}' for c in cycles)}{at_once}; {values['simulator']}, "
              f"{values['seconds']:.1f} s")
