"""Training a substitute with what an attacker has: plain weights, a few images, and the victim's answers."""

from __future__ import annotations

import math
import os
import pickle
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.pipeline.fingerprint import hash_json
from hwgen.train.augment import augment, draw
from hwgen.train.depthwise import StridedDepthwise
from hwgen.train.interrupt import interrupt_flag
from hwgen.ttseal.augmentation import jacobian_step
from hwgen.ttseal.network import RealNetwork
from hwgen.ttseal.settings import AttackSettings
from hwgen.ttseal.victim import Victim
from hwgen.zoo.recipe import AugmentSpec, InputSpec

#: Called with (optimiser steps done, steps in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What all substitutes of a run have in common.

    Args:
        graph: the shipped integer network.
        spec: its input.
        victim: answers queries.
        pool: uint8 [N, C, H, W]: images of the kind the network is made for, from which seeds are drawn; no labels.
        settings: of the training.
        device: of torch.
    """

    graph: Graph
    spec: InputSpec
    victim: Victim
    pool: np.ndarray
    settings: AttackSettings
    device: str = "cpu"

    def __post_init__(self) -> None:
        if len(self.pool) < self.settings.seed_images:
            raise HwgenError(f"{self.settings.seed_images} seed images are wanted, the attacker's pool has "
                             f"{len(self.pool)}", where="attack", allowed=f"at most {len(self.pool)}")


@dataclass
class _State:
    """Position in the training, and the labelled set so far."""

    images: np.ndarray
    labels: np.ndarray
    round: int = 0
    step: int = 0  #: within the round
    queries: int = 0


def train_substitute(
    attack: Attack, encrypted: Collection[str], seed: int, *, state: Path | None = None,
    progress: Progress | None = None,
) -> tuple[RealNetwork, int]:
    """A substitute for the victim when ``encrypted`` nodes are hidden, in evaluation mode, and the queries it took.

    With nothing hidden there is nothing to learn: the network read from storage is returned as it is, without queries.
    All randomness comes from (seed, round, step), so a resumed training takes the steps that it would have taken.

    Args:
        attack: what is known and how it is used.
        encrypted: nodes whose weights are unknown.
        seed: of initial weights, seed images and order.
        state: file from which an interrupted training goes on, and to which it is saved after every epoch and on
            Ctrl-C; removed at the end.

    Raises:
        KeyboardInterrupt: Ctrl-C, after the state was saved.
    """
    network = RealNetwork(attack.graph, attack.spec, encrypted, seed).to(attack.device)
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if not encrypted:
        return network.eval(), 0
    trained = _trained(network, attack.settings)
    optimizer = torch.optim.AdamW(trained, lr=attack.settings.rate, weight_decay=attack.settings.decay)
    owner = hash_json([asdict(attack.settings), sorted(encrypted), seed, len(attack.pool)])
    at = _load(state, network, optimizer, owner, attack.device) if state is not None and state.exists() else None
    if at is None:
        rng = np.random.default_rng([seed, 1])
        images = attack.pool[rng.permutation(len(attack.pool))[:attack.settings.seed_images]]
        at = _State(images, attack.victim.classes(images), queries=len(images))
    _run(attack, network, optimizer, at, _Run(seed, state, owner, progress))
    if state is not None:
        state.unlink(missing_ok=True)
    return network.eval(), at.queries


@dataclass(frozen=True)
class _Run:
    seed: int
    state: Path | None
    owner: str
    progress: Progress | None


def _trained(network: RealNetwork, settings: AttackSettings) -> list[Tensor]:
    for convolution in network.known():
        for parameter in convolution.parameters():
            parameter.requires_grad_(settings.known == "trained")
    return [p for p in network.parameters() if p.requires_grad]


def _run(attack: Attack, network: RealNetwork, optimizer: torch.optim.Optimizer, at: _State, run: _Run) -> None:
    settings = attack.settings
    total, before = settings.total_steps, sum(settings.steps(r) for r in range(at.round))
    with interrupt_flag() as interrupted, StridedDepthwise():
        while at.round <= settings.rounds:
            steps, end = settings.steps_per_epoch(at.round), settings.steps(at.round)
            network.train()
            while at.step < end:
                rate = 0.5 * settings.rate * (1 + math.cos(math.pi * at.step / end))
                for group in optimizer.param_groups:
                    group["lr"] = rate
                _step(attack, network, optimizer, at, run.seed)
                at.step += 1
                if run.progress is not None:
                    run.progress(before + at.step, total)
                if run.state is not None and (at.step % steps == 0 or interrupted.is_set()):
                    _save(run.state, network, optimizer, at, run.owner)
                if interrupted.is_set():
                    raise KeyboardInterrupt
            before += end
            if at.round < settings.rounds:
                signed = settings.step if at.round % 2 == 0 else -settings.step
                new = jacobian_step(network, at.images, at.labels, signed)
                at.labels = np.concatenate([at.labels, attack.victim.classes(new)])
                at.images = np.concatenate([at.images, new])
                at.queries += len(new)
            at.round, at.step = at.round + 1, 0


def _step(
    attack: Attack, network: RealNetwork, optimizer: torch.optim.Optimizer, at: _State, seed: int,
) -> None:
    settings, key = attack.settings, [seed, at.round]
    count, steps = len(at.images), settings.steps_per_epoch(at.round)
    epoch, index = divmod(at.step, steps)
    order = np.random.default_rng([*key, epoch, 2]).permutation(count)
    rows = order[index * settings.batch:(index + 1) * settings.batch]
    spec = AugmentSpec(flip=settings.flip, shift=settings.shift)
    images = augment(at.images[rows], spec, draw(spec, len(rows), np.random.default_rng([*key, at.step, 3])))
    pixels = images.to(attack.device).float() / 255.0
    kind = torch.device(attack.device).type
    with torch.autocast(kind, torch.bfloat16, enabled=settings.precision == "bfloat16"):
        outputs = network(pixels)
    loss = functional.cross_entropy(outputs.float(), torch.from_numpy(at.labels[rows]).to(attack.device))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    if not math.isfinite(float(loss.detach())):
        raise HwgenError("the substitute's loss became infinite", where="attack", hint="a smaller learning rate")


def _save(path: Path, network: RealNetwork, optimizer: torch.optim.Optimizer, at: _State, owner: str) -> None:
    # a cluster's worker that nobody waits for any more may be training the same substitute
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save({
        "owner": owner, "network": network.state_dict(), "optimizer": optimizer.state_dict(),
        "images": torch.from_numpy(at.images), "labels": torch.from_numpy(at.labels), "round": at.round,
        "step": at.step, "queries": at.queries}, temporary)
    os.replace(temporary, path)


def _load(
    path: Path, network: RealNetwork, optimizer: torch.optim.Optimizer, owner: str, device: str,
) -> _State | None:
    """The saved position; None if the file is damaged or of another training (which then starts over)."""
    try:
        values = torch.load(path, map_location=device, weights_only=True)
        if values["owner"] != owner:
            return None
        network.load_state_dict(values["network"])
        optimizer.load_state_dict(values["optimizer"])
    except (RuntimeError, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, FileNotFoundError):
        return None
    return _State(values["images"].cpu().numpy(), values["labels"].cpu().numpy(), values["round"], values["step"],
                  values["queries"])
