"""From a quantised graph to a program, a weight stream and memory layouts (docs/architecture.md)."""

from hwgen.compiler.compile import compile_network
from hwgen.compiler.options import CompileOptions, Timing
from hwgen.compiler.result import CompiledNetwork, LayerInfo

__all__ = ["CompileOptions", "CompiledNetwork", "LayerInfo", "Timing", "compile_network"]
