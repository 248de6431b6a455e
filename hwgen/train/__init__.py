"""Training: ``run`` from a recipe to a checkpoint, ``fine_tune`` of compressed networks, ``evaluate``."""

from hwgen.train.evaluate import evaluate, logits
from hwgen.train.fine_tune import fine_tune
from hwgen.train.run import TrainResult, run

__all__ = ["TrainResult", "evaluate", "fine_tune", "logits", "run"]
