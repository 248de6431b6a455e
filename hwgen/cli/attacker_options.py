"""Options that ``hwgen seal`` and ``hwgen attack`` share: the target, the attacker, what is attacked."""

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Option("--model", "-m", help="Model name, recipe (.toml) or compressed network.")]
Data = Annotated[Path, typer.Option(help="Folder that holds the data set in its public layout.")]
Weights = Annotated[Path | None, typer.Option(help="Checkpoint (.safetensors) instead of the recipe's.")]
Build = Annotated[Path | None, typer.Option(help="Build directory: attack the network that it ships.")]
SeedImages = Annotated[int, typer.Option(help="Images that the attacker begins with.")]
Rounds = Annotated[int, typer.Option(help="How often the attacker doubles them by queries.")]
Epochs = Annotated[int, typer.Option(help="Passes over the images a round.")]
LastEpochs = Annotated[int, typer.Option(help="Further passes in the last round.")]
Known = Annotated[str, typer.Option(help="Plain weights in the substitute: frozen or trained.")]
Precision = Annotated[str, typer.Option(help="Of the training: float32 or bfloat16.")]
Seed = Annotated[int, typer.Option(help="Of everything that is drawn.")]
AttackImages = Annotated[int, typer.Option(help="Test images attacked.")]
Epsilon = Annotated[list[int] | None, typer.Option(help="Largest pixel change in 1/255, repeatable [2 4 8 16].")]
Transfer = Annotated[bool, typer.Option("--transfer/--no-transfer", help="Try adversarial examples on the victim.")]
Threads = Annotated[int | None, typer.Option(help="Threads of torch.")]
Device = Annotated[str, typer.Option(help="Of torch: cpu, cuda.")]
