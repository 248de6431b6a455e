"""Recipes: one TOML file per model says everything about it but the numbers in its checkpoint."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hwgen.errors import HwgenError
from hwgen.resources import models_dir
from hwgen.tt.form import TtForm, parse_grouping
from hwgen.zoo.fields import read_table

#: A number of 0..1. (A name of its own, because a field below is called ``float``.)
Share = float


#: builder of a network that is stored as a graph, weights included (``hwgen pareto --export``)
GRAPH_BUILDER = "graph"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What the network sees: ``(pixel / scale - mean) / std`` per channel.

    Args:
        shape: (channels, height, width).
        mean, std: per channel, of pixels divided by ``scale``.
        scale: the pixel value that becomes 1.0; pixels are 0..255.
        dataset: name of the data set (``hwgen.data.load_dataset``).
        classes: class names in label order; empty where the sorted names of the image folders are meant.
        class_count: number of classes, where ``classes`` is empty.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dataset: str
    classes: tuple[str, ...] = ()
    class_count: int = 0
    scale: float = 255.0

    def __post_init__(self) -> None:
        _require(min(self.shape) > 0, f"shape must be positive, not {list(self.shape)}")
        for name in ("mean", "std"):
            entries = len(getattr(self, name))
            _require(entries == self.shape[0], f"{name} must have {self.shape[0]} entries, not {entries}")
        _require(min(self.std) > 0, f"std must be positive, not {list(self.std)}")
        _require(self.scale > 0, f"scale must be positive, not {self.scale}")
        _require(not (self.classes and self.class_count), "classes and class_count exclude each other")
        _require(self.outputs > 1, "classes must name at least two classes, or class_count be at least 2")

    @property
    def outputs(self) -> int:
        """Number of classes."""
        return len(self.classes) or self.class_count


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """Which builder makes the torch module, and its parameters (checked by the builder); ``"graph"``: none, the network
    is the graph file ``weights.file``."""

    builder: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class WeightsSpec:
    """The checkpoint that ships with the recipe; ``file`` is beside the recipe, or empty when none ships."""

    file: str = ""
    origin: str = ""
    licence: str = ""
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class TtLayerSpec:
    """TT form of one layer, named as in the torch module."""

    name: str
    ranks: tuple[int, ...]
    grouping: str = ""
    execution: Literal["", "auto", "chain", "reconstruct", "merged"] = ""


@dataclass(frozen=True, kw_only=True)
class TtSpec:
    """Which layers are tensor trains.

    Args:
        grouping: of layers that do not name their own.
        execution: how the accelerator executes them, of layers that do not name their own.
        rank_multiple: what ranks chosen by ``hwgen compress`` are rounded to.
        macs_ratio, parameters_ratio: the budget from which the ranks were chosen, against the dense network.
        layers: one entry per layer.
    """

    grouping: str = "I|HW|O"
    execution: Literal["auto", "chain", "reconstruct", "merged"] = "auto"
    rank_multiple: int = 32
    macs_ratio: float | None = None
    parameters_ratio: float | None = None
    layers: tuple[TtLayerSpec, ...] = ()

    def __post_init__(self) -> None:
        _require(self.rank_multiple > 0, f"rank_multiple must be positive, not {self.rank_multiple}")
        names = [layer.name for layer in self.layers]
        _require(len(set(names)) == len(names), "layers must not name a layer twice")
        for layer in self.layers:
            self.form(layer)

    def form(self, layer: TtLayerSpec) -> TtForm:
        """Grouping and ranks of ``layer``."""
        return TtForm(parse_grouping(layer.grouping or self.grouping), layer.ranks)

    def execution_of(self, layer: TtLayerSpec) -> str:
        """Execution policy of ``layer``."""
        return layer.execution or self.execution


@dataclass(frozen=True, kw_only=True)
class QuantizeSpec:
    """Calibration: which method, on how many training images."""

    calibration: Literal["minmax", "percentile", "mse"] = "mse"
    images: int = 512
    percentile: float = 99.99
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.images > 0, f"images must be positive, not {self.images}")
        _require(50 < self.percentile <= 100, f"percentile must be in (50, 100], not {self.percentile}")


@dataclass(frozen=True, kw_only=True)
class SealSpec:
    """Against which attacker a selection is made, and how it is judged: the options of ``hwgen seal`` by their names.

    Args:
        delta: how much better than blind a substitute may be.
        seed_images, rounds, epochs, last_epochs, known, precision: training of a substitute.
        seeds: substitutes per reported set; ``seed``: of the first, and of everything that is drawn.
        importance_images, validation_images: training images for the importances and for judging substitutes.
        images: test images of the reported figures; 0: all.
        drops: removals tried on the verified set.
        transfer: whether adversarial examples are tried on the victim: on ``attack_images`` test images, with changes
            of up to ``epsilons`` / 255; ``headline`` is the epsilon of the table, 0: 8 if it is there, else the last.
    """

    delta: float = 0.03
    seed_images: int = 500
    rounds: int = 4
    epochs: int = 10
    last_epochs: int = 10
    known: Literal["frozen", "trained"] = "frozen"
    precision: Literal["float32", "bfloat16"] = "float32"
    seeds: int = 3
    seed: int = 0
    importance_images: int = 256
    validation_images: int = 2000
    images: int = 0
    drops: int = 8
    transfer: bool = True
    attack_images: int = 500
    epsilons: tuple[int, ...] = (2, 4, 8, 16)
    headline: int = 0


@dataclass(frozen=True, kw_only=True)
class EncryptSpec:
    """What is stored encrypted: ``"all"``, ``"none"``, a fraction of the bytes, layer names, a selection made by
    ``hwgen seal`` (``file`` is beside the recipe), or ``"attack"``: a selection that the build makes against the
    attacker of ``attack``. ``activations``: feature maps that do not fit on the chip are encrypted and authenticated
    in memory, too."""

    select: Literal["all", "none", "fraction", "names", "file", "attack"] = "all"
    fraction: float | None = None
    names: tuple[str, ...] = ()
    file: str = ""
    attack: SealSpec | None = None
    activations: bool = False

    def __post_init__(self) -> None:
        given = self.fraction is not None
        _require(given == (self.select == "fraction"), 'fraction must be given if, and only if, select = "fraction"')
        _require(self.fraction is None or 0 <= self.fraction <= 1, f"fraction must be in [0, 1], not {self.fraction}")
        _require(bool(self.names) == (self.select == "names"), 'names must be given if, and only if, select = "names"')
        _require(bool(self.file) == (self.select == "file"), 'file must be given if, and only if, select = "file"')
        _require(self.attack is None or self.select == "attack", 'attack must be given only if select = "attack"')


@dataclass(frozen=True, kw_only=True)
class PhaseSpec:
    """A stretch of training at one image size (height and width; 0 = the network's own)."""

    epochs: int
    size: int = 0

    def __post_init__(self) -> None:
        _require(self.epochs > 0, f"epochs must be positive, not {self.epochs}")
        _require(self.size >= 0, f"size must not be negative, not {self.size}")


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """SGD with momentum; the learning rate rises linearly to ``peak`` and then falls to zero."""

    peak: float
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    warmup: float = 0.15
    decay: Literal["linear", "cosine"] = "linear"

    def __post_init__(self) -> None:
        _require(self.peak > 0, f"peak must be positive, not {self.peak}")
        _require(0 <= self.momentum < 1, f"momentum must be in [0, 1), not {self.momentum}")
        _require(0 <= self.warmup < 1, f"warmup must be in [0, 1), not {self.warmup}")
        _require(self.weight_decay >= 0, f"weight_decay must not be negative, not {self.weight_decay}")


@dataclass(frozen=True, kw_only=True)
class AugmentSpec:
    """Random changes of training images: mirror left and right, shift by up to ``shift`` pixels (edges reflected)."""

    flip: bool = False
    shift: int = 0

    def __post_init__(self) -> None:
        _require(self.shift >= 0, f"shift must not be negative, not {self.shift}")


@dataclass(frozen=True, kw_only=True)
class TeacherSpec:
    """A trained network to start from and to learn from.

    Args:
        recipe: name of the teacher's recipe; the student's dense twin when it is also the origin of a TT-SVD start.
        origin: how the teacher of the shipped checkpoint was made.
        weight: share of the distillation loss, the rest is cross-entropy with the labels; 0 = start only.
        temperature: softening of both distributions.
    """

    recipe: str
    origin: str = ""
    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        _require(0 <= self.weight <= 1, f"weight must be in [0, 1], not {self.weight}")
        _require(self.temperature > 0, f"temperature must be positive, not {self.temperature}")


@dataclass(frozen=True, kw_only=True)
class RobustSpec:
    """Adversarial training within a ball of the maximum norm.

    Args:
        method: ``"pgd"``: cross-entropy of adversarial images only (Madry et al., arXiv 1706.06083); ``"trades"``:
            cross-entropy of clean images plus ``beta`` times the divergence of the adversarial outputs from the clean
            ones (Zhang et al., arXiv 1901.08573).
        epsilon: largest change of a pixel, in pixel values (of 0..255).
        step, steps: size of a step, in pixel values, and number of steps of the attack that trains.
        beta: weight of TRADES' divergence.
    """

    method: Literal["pgd", "trades"] = "pgd"
    epsilon: float = 8.0
    step: float = 2.0
    steps: int = 7
    beta: float = 6.0

    def __post_init__(self) -> None:
        _require(0 < self.epsilon <= 255, f"epsilon must be in (0, 255], not {self.epsilon}")
        _require(0 < self.step <= 255, f"step must be in (0, 255], not {self.step}")
        _require(self.steps >= 1, f"steps must be at least 1, not {self.steps}")
        _require(self.beta > 0, f"beta must be positive, not {self.beta}")


@dataclass(frozen=True, kw_only=True)
class StopSpec:
    """Early stopping; the weights of the best epoch are kept.

    Args:
        patience: epochs without a better one until the training ends.
        images: taken out of the training set by its seed; the accuracy on them decides, that of adversarial images
            where the training is adversarial.
    """

    patience: int
    images: int = 256

    def __post_init__(self) -> None:
        _require(self.patience >= 1, f"patience must be at least 1, not {self.patience}")
        _require(self.images >= 1, f"images must be positive, not {self.images}")


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How the checkpoint is made (``hwgen.train.run``)."""

    phases: tuple[PhaseSpec, ...]
    optimizer: OptimizerSpec
    batch: int = 128
    seed: int = 0
    label_smoothing: float = 0.0
    augment: AugmentSpec = AugmentSpec()
    precision: Literal["bfloat16", "float32"] = "float32"
    tt_execution: Literal["dense", "chain"] = "chain"
    teacher: TeacherSpec | None = None
    robust: RobustSpec | None = None
    stop: StopSpec | None = None

    def __post_init__(self) -> None:
        _require(self.robust is None or self.teacher is None or self.teacher.weight == 0,
                 "robust needs teacher.weight = 0: the teacher's outputs are of clean images")
        _require(len(self.phases) > 0, "phases must not be empty")
        _require(self.batch > 1, f"batch must be at least 2, not {self.batch}")
        _require(0 <= self.label_smoothing < 1, f"label_smoothing must be in [0, 1), not {self.label_smoothing}")


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """Recorded top-1 accuracies (0..1) of the shipped checkpoint, and how they were measured.

    Args:
        float: of the float network from which this one was compressed; equal to ``compressed`` if it was not.
        compressed: of this network in float32.
        int8: of the quantised network.
    """

    dataset: str = ""
    images: int = 0
    float: Share | None = None
    compressed: Share | None = None
    int8: Share | None = None
    command: str = ""

    def __post_init__(self) -> None:
        for name in ("float", "compressed", "int8"):
            value = getattr(self, name)
            _require(value is None or 0 <= value <= 1, f"{name} must be in [0, 1], not {value}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a model but the numbers in its checkpoint. ``path`` is the file it was read from."""

    name: str
    description: str
    input: InputSpec
    network: NetworkSpec
    weights: WeightsSpec = WeightsSpec()
    tt: TtSpec = TtSpec()
    quantize: QuantizeSpec = QuantizeSpec()
    encrypt: EncryptSpec = EncryptSpec()
    train: TrainSpec | None = None
    evaluation: EvaluationSpec = EvaluationSpec()
    path: Path = field(default=Path(), compare=False)

    @property
    def checkpoint(self) -> Path | None:
        """The shipped checkpoint, None if the recipe ships none."""
        return self.path.parent / self.weights.file if self.weights.file else None

    @property
    def sha256(self) -> str:
        """Hash of what decides the function and its training: input, network, tt, train (without its texts)."""
        parts = {key: value for key, value in asdict(self).items() if key in ("input", "network", "tt", "train")}
        if self.train and self.train.teacher:
            parts["train"]["teacher"]["origin"] = ""
        for name in ("robust", "stop"):  # absent is what recipes without them have always been
            if self.train and parts["train"][name] is None:
                del parts["train"][name]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def list_recipes() -> tuple[str, ...]:
    """Names of the models of the zoo."""
    return tuple(sorted(path.stem for path in models_dir().glob("*.toml")))


def find_recipe(model: str | Path) -> Path:
    """The recipe file of a model given by name, or the path itself when it points to a file.

    Raises:
        HwgenError: there is no such model; the nearest names are offered.
    """
    path = Path(model)
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise HwgenError(f"recipe {str(path)!r} does not exist")
    names = list_recipes()
    if str(model) in names:
        return models_dir() / f"{model}.toml"
    near = difflib.get_close_matches(str(model), names, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "give the name of a model or the path of a recipe (.toml)"
    raise HwgenError(f"unknown model {str(model)!r}", allowed=", ".join(names), hint=hint)


def load_recipe(model: str | Path) -> Recipe:
    """Read and check a recipe, by model name or path.

    Raises:
        HwgenError: no such model, not TOML, or a field is wrong (file, field and what is allowed are named).
    """
    path = find_recipe(model)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HwgenError(f"is not valid TOML: {error}", where=str(path)) from error
    if "path" in table:
        raise HwgenError("unknown key 'path'", where=str(path))
    return read_table(Recipe, {**table, "path": path}, str(path))
