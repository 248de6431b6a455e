"""Says above every Verilog module which template it was generated from, and with which parameters.

Done for the hand-off only: simulators and synthesis results are kept under the hash of the text without these comments.
"""

from __future__ import annotations

import inspect
import re
import warnings
from enum import Enum
from typing import Any

from amaranth.hdl import Elaboratable, Fragment, Module, UnusedElaboratable

from hwgen.config.accelerator import AcceleratorConfig
from hwgen.config.system import SystemConfig
from rtl_templates.verilog import top_component

_MODULE = re.compile(r"^(?:\(\*.*\*\)\n)*module \\?([^\s(;#]+)", re.M)


def annotate(verilog: str, config: AcceleratorConfig | SystemConfig, name: str) -> str:
    """The Verilog of ``rtl_templates.verilog.generate(config, name)`` with a comment above each module.

    Removing the lines that begin with ``// template:`` gives ``verilog`` again.
    """
    if len(_MODULE.findall(verilog)) < 2:
        return verilog
    described = templates(config, name)

    def comment(found: re.Match[str]) -> str:
        text = described.get(found[1])
        return f"// template: {text}\n{found[0]}" if text else found[0]

    return _MODULE.sub(comment, verilog)


def templates(config: AcceleratorConfig | SystemConfig, name: str) -> dict[str, str]:
    """Module name -> class and parameters, of everything below the accelerator ``name``."""
    found: dict[str, str] = {}
    top = top_component(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        _collect(Fragment.get(top, None), name, found)
        for module, component in top.submodules().items():
            _collect(Fragment.get(component, None), module, found)
    return found


def _collect(fragment: Fragment, path: str, found: dict[str, str]) -> None:
    """Amaranth names a module by its path, and keeps in ``origins`` what a fragment was elaborated from."""
    sources = [o for o in fragment.origins or () if isinstance(o, Elaboratable) and not isinstance(o, Module)
               and hasattr(type(o), "__module__") and type(o).__name__ != "TransformedElaboratable"]
    if sources:
        found[path] = _describe(sources[0])
    for child, child_name, _ in fragment.subfragments:
        if child_name:
            _collect(child, f"{path}.{child_name}", found)


def _describe(component: Any) -> str:
    kind = type(component)
    values = {p: getattr(component, p, None) for p in inspect.signature(kind.__init__).parameters}
    shown = [f"{p}={v.value if isinstance(v, Enum) else v}" for p, v in values.items()
             if isinstance(v, int | str | Enum)]
    if isinstance(values.get("config"), AcceleratorConfig | SystemConfig):
        shown.insert(0, "the configuration above")
    return f"{kind.__module__}.{kind.__qualname__}" + (f" ({', '.join(shown)})" if shown else "")
