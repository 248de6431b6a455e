from hwgen.ir.nodes import Graph


def load_onnx(path) -> Graph: raise NotImplementedError
