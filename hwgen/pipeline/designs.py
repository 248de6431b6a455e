"""What a network can become on a board: a tensor engine, a streaming pipeline, and which of the two a request gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.board import Board
from hwgen.config.system import SystemConfig
from hwgen.errors import HwgenError
from hwgen.ir.nodes import Graph
from hwgen.pipeline.encryption import protects_activations
from hwgen.pipeline.request import BuildRequest
from hwgen.pipeline.source import model_source
from hwgen.seal import Selection, load_key
from hwgen.search import SearchResult, search
from hwgen.stream.choose import choose, explain
from hwgen.stream.search import StreamCandidate, search_pipeline


@dataclass(frozen=True, kw_only=True)
class Designs:
    """The best design of every style that was asked for; at least one.

    Args:
        board: they are for; objective: by which they compete.
        engine, stream: None where that style was not asked for or is not possible.
        refused: style -> why it is not possible.
        compared: whether more than the engine was asked for.
    """

    board: Board
    objective: str
    engine: SearchResult | None
    stream: StreamCandidate | None
    refused: Mapping[str, str]
    compared: bool

    @property
    def style(self) -> str:
        """The style that won: "engine" or "stream"."""
        return choose(*self._figures(), self.objective, self.board)

    @property
    def system(self) -> SystemConfig:
        """The design of that style."""
        if self.style == "stream":
            assert self.stream is not None
            return SystemConfig(engine=self.stream.config)
        assert self.engine is not None
        return self.engine.chosen.system

    @property
    def values(self) -> dict[str, Any]:
        """JSON-ready result of the style that won, with the reasons."""
        story = explain(*self._figures(), self.objective, self.board, self.refused) if self.compared else ""
        if self.style == "stream":
            assert self.stream is not None
            return stream_values(self.stream, story)
        assert self.engine is not None
        return self.engine.to_dict() | {"explanation": "\n".join(filter(None, (story, self.engine.explanation)))}

    def _figures(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        return (None if self.engine is None else self.engine.to_dict()["chosen"],
                None if self.stream is None else self.stream.to_dict())


def search_designs(request: BuildRequest, graph: Graph, board: Board, encrypted: Collection[str] | Selection | None, *,
                   key_bits: int) -> Designs:
    """Search every style that ``request`` asks for.

    Args:
        request: style, objective, frame rate, protection of feature maps.
        graph: float graph; encrypted: layers with encrypted weights, None: all.
        key_bits: of AES.

    Raises:
        HwgenError: none of them is possible.
    """
    base = AcceleratorConfig().replace(aes_key_bits=key_bits,
                                       protect_activations=protects_activations(request, model_source(request)))
    engine: SearchResult | None = None
    stream: StreamCandidate | None = None
    refused: dict[str, str] = {}
    if request.style != "stream":
        try:
            engine = search(graph, board, goal=request.objective, encrypted=encrypted, base=base)
        except HwgenError as error:
            if request.style == "engine":
                raise
            refused["engine"] = str(error)
    if request.style != "engine":
        try:
            # a pipeline keeps all feature maps on the chip
            stream = search_pipeline(graph, board, base.replace(protect_activations=False), fps=request.fps,
                                     objective=request.objective)
        except HwgenError as error:
            if engine is None:
                raise
            refused["stream"] = str(error)
    return Designs(board=board, objective=request.objective, engine=engine, stream=stream, refused=refused,
                   compared=request.style != "engine")


def stream_values(found: StreamCandidate, explanation: str) -> dict[str, Any]:
    """A pipeline as the result of a search; its tensor trains run as chains, which is what planning does unasked."""
    chosen = found.to_dict()
    return {"chosen": chosen, "front": [chosen], "choices": {}, "considered": 1, "feasible": 1,
            "seconds": found.seconds, "explanation": explanation}


def default_key_bits(request: BuildRequest) -> int:
    """Size of the AES key where no configuration was given: the key file's length, else the default."""
    return load_key(request.key_file).bits if request.key_file is not None else AcceleratorConfig().aes_key_bits
