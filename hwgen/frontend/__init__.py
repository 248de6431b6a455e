"""Front ends: PyTorch modules and ONNX files into the float graph."""

from hwgen.frontend.onnx_frontend import load_onnx
from hwgen.frontend.torch_frontend import from_exported, from_torch

__all__ = ["from_exported", "from_torch", "load_onnx"]
