"""Training: ``run`` makes a checkpoint from a recipe, ``evaluate`` measures one."""

from hwgen.train.evaluate import evaluate, logits
from hwgen.train.run import TrainResult, run

__all__ = ["TrainResult", "evaluate", "logits", "run"]
