"""``hwgen inspect``: what is in a model image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from hwgen.cli.console import out, print_json
from hwgen.cli.guard import guarded

NAME = "inspect"
EXAMPLES = (
    "Examples:  hwgen inspect build/resnet18_tt-zcu104/seal/model.img   |   "
    "hwgen inspect model.img --key-file build/resnet18_tt-zcu104.development.key"
)


@guarded
def command(
    image: Annotated[Path, typer.Argument(help="Model image.")],
    key_file: Annotated[Path | None, typer.Option(help="Root key: verifies segments, shows the program.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Disassemble a model image: header, runs, and with the key the program."""
    from hwgen.image.disassemble import describe_image, image_text
    from hwgen.image.reader import read_image
    from hwgen.image.sealing import ImageSealer
    from hwgen.seal import load_key

    read = read_image(image)
    sealer = ImageSealer.for_header(read.header, load_key(key_file)) if key_file else None
    described: dict[str, Any] = describe_image(read, sealer)
    if json:
        print_json(described)
    else:
        out.print(image_text(described), markup=False, soft_wrap=True)
