"""Substitutes of a run, each trained once: their accuracies are remembered in the run's folder, their weights too."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hwgen.pipeline.fingerprint import hash_json
from hwgen.pipeline.store import write_bytes
from hwgen.ttseal.folder import RunFolder
from hwgen.ttseal.network import RealNetwork, labels_of
from hwgen.ttseal.substitute import Attack, train_substitute
from hwgen.ttseal.target import Splits
from hwgen.ttseal.units import Unit, bytes_of, share_of


class Watcher(Protocol):
    """Is told what happens."""

    def begin(self, title: str) -> None:
        """Something that takes long begins."""
        ...

    def step(self, done: int, total: int) -> None:
        """How far it is."""
        ...

    def note(self, text: str) -> None:
        """A result, one line."""
        ...


class Silent:
    """A watcher that says nothing."""

    def begin(self, title: str) -> None:
        del title

    def step(self, done: int, total: int) -> None:
        del done, total

    def note(self, text: str) -> None:
        del text


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One substitute.

    Args:
        encrypted: nodes that were hidden, sorted.
        seed: of its training.
        accuracy_validation: share (0..1) of the validation images that it labels correctly; choices are made by it.
            None where there are no such images.
        accuracy_test: the same of the test images; reported, nothing is chosen by it.
        agreement_test: share of the test images on which it agrees with the victim.
        queries: to the victim.
        seconds: of the training.
    """

    encrypted: tuple[str, ...]
    seed: int
    accuracy_validation: float | None
    accuracy_test: float
    agreement_test: float
    queries: int
    seconds: float


@dataclass(frozen=True)
class Wanted:
    """A substitute: hidden nodes, seed, and what it is for, in words."""

    encrypted: Collection[str]
    seed: int
    title: str

    @property
    def nodes(self) -> tuple[str, ...]:
        """The hidden nodes, sorted."""
        return tuple(sorted(self.encrypted))

    @property
    def name(self) -> str:
        """Of its files in the run's folder."""
        return f"substitutes/{hash_json(list(self.nodes))[:16]}-{self.seed}"


class Team(Protocol):
    """Measures substitutes of a run elsewhere, several at a time."""

    @property
    def least(self) -> int:
        """So many at once are worth the way."""
        ...

    def measure(self, wanted: Sequence[Wanted]) -> Iterator[Wanted]:
        """Each as soon as its results are in the run's folder; HwgenError behind the last one if some failed."""
        ...


class Bench:
    """Trains and measures substitutes of one attack.

    Args:
        attack, splits: what is attacked, with what.
        units: that can be hidden.
        folder: of the run.
        watcher: is told about every training.
        team: measures what is wanted together; None: one after the other, here.
    """

    def __init__(self, attack: Attack, splits: Splits, units: Sequence[Unit], folder: RunFolder, watcher: Watcher,
                 *, team: Team | None = None) -> None:
        self.attack, self.splits, self.units, self.folder, self.watcher = attack, splits, units, folder, watcher
        self.team = team
        self._answers: np.ndarray | None = None

    def answers(self) -> np.ndarray:
        """The victim's classes for the test images, int64 [N]; for the figures, not for the attacker."""
        if self._answers is None:
            self._answers = self.attack.victim.classes(self.splits.test.images)
        return self._answers

    def prepare(self, wanted: Iterable[Wanted]) -> None:
        """Have the team, if there is one, measure those that have not been yet."""
        missing = {w.name: w for w in wanted if self.folder.read(f"{w.name}.json") is None}
        if self.team is None or len(missing) < self.team.least:
            return
        self.watcher.begin(f"{len(missing)} substitutes at a time")
        for done, each in enumerate(self.team.measure(list(missing.values())), start=1):
            self.watcher.step(done, len(missing))
            self._note(self.measure(each.encrypted, each.seed, each.title), each.title)

    def measure(self, encrypted: Collection[str], seed: int, title: str) -> Measured:
        """The substitute for a set; trained unless it has been."""
        wanted = Wanted(encrypted, seed, title)
        nodes, name = wanted.nodes, wanted.name
        found = self.folder.read(f"{name}.json")
        if found is not None:
            return Measured(**{**found, "encrypted": tuple(found["encrypted"])})
        share = share_of(self.units, nodes)
        self.watcher.begin(f"{title}: substitute for {len(nodes)} of {len(self.units)} hidden ({100 * share:.1f} %)")
        start = time.perf_counter()
        state = self.folder.root / f"{name}.state.pt"
        state.parent.mkdir(parents=True, exist_ok=True)
        network, queries = train_substitute(self.attack, nodes, seed, state=state, progress=self.watcher.step)
        seconds = time.perf_counter() - start
        validation, test = self.splits.validation, self.splits.test
        predicted = labels_of(network, test.images)
        measured = Measured(
            encrypted=nodes, seed=seed, queries=queries, seconds=round(seconds, 1),
            accuracy_validation=float(np.mean(labels_of(network, validation.images) == validation.labels))
            if len(validation) else None,
            accuracy_test=float(np.mean(predicted == test.labels)),
            agreement_test=float(np.mean(predicted == self.answers())))
        tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
        write_bytes(self.folder.root / f"{name}.safetensors", save(tensors))
        self.folder.write(f"{name}.json", asdict(measured))
        self._note(measured, title)
        return measured

    def _note(self, measured: Measured, title: str) -> None:
        nodes, judged = measured.encrypted, measured.accuracy_validation
        self.watcher.note(
            f"{title}: {len(nodes)} of {len(self.units)} hidden, {bytes_of(self.units, nodes):,} bytes "
            f"({100 * share_of(self.units, nodes):.1f} %), seed {measured.seed}: substitute "
            f"{100 * measured.accuracy_test:.1f} % (test)"
            + ("" if judged is None else f", {100 * judged:.1f} % (validation)") + f", {measured.seconds:.0f} s")

    def mean(self, encrypted: Collection[str], seeds: Sequence[int], title: str) -> float:
        """Mean validation accuracy over ``seeds``."""
        self.prepare(Wanted(encrypted, seed, title) for seed in seeds)
        found = [self.measure(encrypted, seed, title).accuracy_validation for seed in seeds]
        return float(np.mean([value for value in found if value is not None]))

    def network(self, encrypted: Collection[str], seed: int, title: str) -> RealNetwork:
        """The trained substitute of a set, in evaluation mode, its weights fixed (gradients reach its input only)."""
        self.measure(encrypted, seed, title)
        wanted = Wanted(encrypted, seed, title)
        path = self.folder.root / f"{wanted.name}.safetensors"
        network = RealNetwork(self.attack.graph, self.attack.spec, wanted.nodes, seed)
        try:
            tensors: dict[str, torch.Tensor] = load_file(path)
            network.load_state_dict(tensors)
        except (SafetensorError, OSError, RuntimeError):
            path.with_suffix(".json").unlink()  # lost or damaged: train it again
            return self.network(encrypted, seed, title)
        return network.to(self.attack.device).eval().requires_grad_(False)


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and sample standard deviation (0 for one value)."""
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "std": float(array.std(ddof=1)) if len(array) > 1 else 0.0}
