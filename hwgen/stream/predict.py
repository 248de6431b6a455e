"""Predicted cycles of a pipeline: a cold frame, a following one, the interval of frames close behind one another."""

from __future__ import annotations

from dataclasses import dataclass

from hwgen.compiler.result import CompiledNetwork
from hwgen.cost.memory import MemoryModel
from hwgen.cost.play.compute import Span
from hwgen.cost.timeline import Prediction, Timeline, predict
from hwgen.stream.play import Times, interval, play

#: start write to the first pixel and last result to the interrupt, without the memory's latency
AROUND = 54
#: last weights verified to the first pixel, and last result to the interrupt, without the lines' way through the stages
BEHIND_WEIGHTS = 17


@dataclass(frozen=True, kw_only=True)
class PipelinePrediction:
    """``frames``: timelines of a cold frame and of a following one; ``interval``: of a batch."""

    frames: Prediction
    interval: int


def predict_pipeline(network: CompiledNetwork, memory: MemoryModel) -> PipelinePrediction:
    """Predicted cycles of a compiled network."""
    config = network.config
    assert config.pipeline is not None
    pixel = max(1.0, config.p_i / min(memory.bytes_per_cycle, config.axi_bytes))
    times = play(config, pixel)
    loads = predict(network, memory).cold.loaded
    begin = memory.latency + AROUND // 2
    warm = Timeline(cycles=round(memory.latency + AROUND + times.total), spans=_spans(network, begin, times), loaded=())
    late = loads[-1][0] + len(config.pipeline.stages) + BEHIND_WEIGHTS
    cold = Timeline(cycles=round(late + times.total), spans=_spans(network, late, times), loaded=loads)
    return PipelinePrediction(frames=Prediction(cold=cold, steady=warm), interval=interval(config, pixel))


def _spans(network: CompiledNetwork, begin: float, times: Times) -> tuple[Span, ...]:
    """Work of every stage, from its first step to its last result."""
    return tuple(Span(node=layer.node, start=begin + times.first[layer.node], end=begin + times.end[layer.node],
                      issue=layer.slots, wait_weights=0.0, wait_other=0.0) for layer in network.layers)
