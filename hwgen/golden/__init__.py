"""The golden model: plain numpy on a quantised graph. Depends on numpy and the IR only, by design."""

from hwgen.golden.execute import expand_kernels, quantise_input, run, run_all

__all__ = ["expand_kernels", "quantise_input", "run", "run_all"]
