"""Behind a wrong tag nothing is used and nothing is written (see docs/security.md)."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hwgen.config.accelerator import AcceleratorConfig
from rtl_templates.shell.axi_write_master import AxiWriteMaster
from rtl_templates.shell.error_codes import ErrorCode
from rtl_templates.shell.frame_control import FrameControl
from rtl_templates.shell.program_fetcher import ProgramFetcher
from rtl_templates.shell.store_unit import StoreUnit
from tests.formal.generated import CHANNEL, CONFIG, PROTECTED, TOP, design, inside, mutated, states
from tests.formal.properties import one
from tests.formal.sby import check, flatten

pytestmark = pytest.mark.slow

NOT_RUNNING = ("IDLE", "ABORT", "SCRUB")


def stopped(config: AcceleratorConfig, verilog: str, folder: Path, depth: int, mode: str = "prove") -> str:
    """Frame control, stores and write master, from the cycle in which a channel says that a tag is wrong."""
    rest = ["registers", "keys", "engine", "program", "load", "fetch_load", "fetch_compute", "lines", "words",
            "programs", "scrubber", "store.words", "writer.lengths", "writer.marks"]
    if config.protect_activations:
        rest += ["sealer"]
    dut = flatten(verilog, TOP, [*inside(*rest), CHANNEL], folder / "dut",
                  watch=("frame.abort", "frame.code", "frame.start", "writer.splitter.idle"))
    state = {name: f"{{a:frame.fsm_state}} == {code}" for name, code in states(FrameControl(config=config)).items()}
    store, fetch = states(StoreUnit(config=config)), states(ProgramFetcher(words=1))
    outstanding = inspect.signature(AxiWriteMaster).parameters["outstanding"].default
    idle = " || ".join(f"({state[name]})" for name in NOT_RUNNING)
    text = f"""
  // a tag was wrong in this frame; from then to the start of the next
  wire wrong = {{a:channel_0.failed}} && {{a:frame.running}};
  reg first = 1, doomed = 0, was_abort = 0, was_aw = 0, was_w = 0, was_finished = 0;
  reg [1:0] age = 0;
  wire told = {{a:frame.running}} && {{a:frame.fault}} == 0 && {{a:frame.code}} == {int(ErrorCode.TAG)};
  reg told_1 = 0, told_2 = 0;
  reg [31:0] index;
  wire begins = {{a:frame.start}} && ({state["IDLE"]});
  always @(posedge clk) begin
    first <= 0;
    was_finished <= {{a:load.finished}};
    doomed <= {{a:rst}} || begins ? 0 : doomed || wrong;
    age <= {{a:rst}} || begins ? 0 : doomed && age != 3 ? age + 1 : age;
    told_1 <= told && !{{a:rst}};
    told_2 <= told_1 && {{a:frame.running}};
    index <= {{a:tag_index}};
    was_abort <= !{{a:rst}} && {{a:frame.abort}};
    was_aw <= !{{a:rst}} && {{a:m_axi_0_awvalid}} && !{{a:m_axi_0_awready}};
    was_w <= !{{a:rst}} && {{a:m_axi_0_wvalid}} && !{{a:m_axi_0_wready}};
  end
  always @* begin
    assume (first == {{a:rst}});
    // the memory answers only what it has been asked
    assume (!{{a:m_axi_0_bvalid}} || {{a:writer.open_bursts}} > {{a:m_axi_0_awvalid}});
    // the load unit reports the end only when each segment was found to be right
    assume (!(wrong || doomed) || !{{a:load.finished}} && !was_finished);
    if (!first) begin
      // what frame control's signals mean
      assert ({{a:frame.fsm_state}} <= {max(states(FrameControl(config=config)).values())});
      assert ({{a:frame.running}} == !({idle}));
      assert ({{a:frame.busy}} == !({state["IDLE"]}));
      assert (!({state["ABORT"]}) || {{a:frame.timer}} == 0 || was_abort);
      assert ({{a:writer.open_bursts}} >= {{a:m_axi_0_awvalid}} && {{a:writer.open_bursts}} <= {outstanding});
      assert ({{a:writer.slots}} == ({{a:writer.open_bursts}} != {outstanding}));
      // the error is told, if no other came first
      assert (!told_1 || {{a:frame.fault}} == {int(ErrorCode.TAG)});
      assert (!told_2 || {{a:frame.error_code}} == {int(ErrorCode.TAG)} && {{a:frame.error_segment}} == index);
      // the end of the frame: stopped in three cycles, never "done"
      assert (!doomed || !{{a:frame.done}});
      assert (!doomed || age < 2 || !{{a:frame.running}});
      assert (!doomed || age == 3 || {{a:frame.running}} || {{a:frame.abort}} && {{a:frame.timer}} <= age);
      assert (doomed || age == 0);
      assert (!(doomed && age == 0) || {{a:tag_error}});
      assert (!(doomed && age == 1 && {{a:frame.running}}) || {{a:frame.fault}} != 0);
      // between the end and the next start nothing is stored, and no burst is open
      assert (!(age == 3 && !{{a:frame.abort}}) || {{a:writer.open_bursts}} == 0 && !{{a:m_axi_0_awvalid}});
      assert (!(age == 3 && !{{a:frame.abort}}) || {{a:store.fsm_state}} == {store["DESCRIPTOR"]}
              && {{a:fetch_store.fsm_state}} == {fetch["IDLE"]} && !{{a:frame.fetch}});
      assert (!was_abort && !(age == 3 && !{{a:frame.abort}})
              || {{a:writer.splitter.idle}} && !{{a:writer.splitter.burst__valid}});
      // no address behind the third cycle; data that are still due without strobes
      assert (!(age == 3 && {{a:m_axi_0_awvalid}}) || was_aw);
      assert (!(was_abort && {{a:m_axi_0_wvalid}} && !was_w) || {{a:m_axi_0_wstrb}} == 0);
    end
  end
"""
    return check(dut, one(dut, text), folder / "proof", depth=depth, mode=mode)


def unverified(verilog: str, folder: Path, depth: int, mode: str = "prove") -> str:
    """A load channel around its segment unit: a segment is handed on only when it was found to be right."""
    parts = [f"{CHANNEL}.{name}" for name in ("unit", "master", "packer", "headers", "sources", "targets")]
    dut = flatten(verilog, CHANNEL, parts, folder / "dut")
    (flush,) = (name for name in dut.outputs if name.startswith("unit.flush"))
    text = """
  wire good = {a:unit.status__valid} && {a:unit.status__payload}[0];
  wire bad = {a:unit.status__valid} && !{a:unit.status__payload}[0];
  wire past = {a:packer.landed} && {a:packer.landed_bypass};  // an input, which has no tag
  reg first = 1, was_good = 0, was_bad = 0, was_past = 0, was_failed = 0, was_abort = 0;
  reg [31:0] index;
  reg [$bits({a:verified})-1:0] before = 0;
  always @(posedge clk) begin
    first <= 0;
    was_good <= good; was_bad <= bad; was_past <= past; was_abort <= {a:FLUSH} || {a:rst};
    was_failed <= {a:failed};
    index <= {a:failed} ? {a:failed_index} : {a:unit.status__payload}[32:1];
    before <= {a:verified};
  end
  always @* begin
    assume (first == {a:rst});
    // the queues hold fewer segments than the counters count
    assume (!(&{a:verified}) && !(&{a:landed}));
    if (!first) begin
      assert (!{a:done} || {a:verified} != 0 && {a:landed} != 0);
      assert ({a:verified} <= before || was_good || was_past);
      assert (!was_failed || {a:verified} <= before);
      assert (was_abort || !was_bad && !was_failed || {a:failed} && {a:failed_index} == index);
    end
  end
"""
    return check(dut, one(dut, text.replace("FLUSH", flush)), folder / "proof", depth=depth, mode=mode)


@pytest.mark.parametrize("config", [CONFIG, PROTECTED], ids=["plain", "rows"])
def test_nothing_is_used(tmp_path: Path, config: AcceleratorConfig) -> None:
    assert unverified(design(config), tmp_path, depth=2) == "PASS"


@pytest.mark.parametrize("config", [CONFIG, PROTECTED], ids=["plain", "rows"])
def test_a_channel_that_hands_on_whatever_comes_is_found(tmp_path: Path, config: AcceleratorConfig) -> None:
    fault = mutated(design(config), CHANNEL, (" checked & status__payload[0];", " checked;"))
    assert unverified(fault, tmp_path, depth=8, mode="bmc") == "FAIL"


@pytest.mark.parametrize("config", [CONFIG, PROTECTED], ids=["plain", "rows"])
def test_nothing_is_written(tmp_path: Path, config: AcceleratorConfig) -> None:
    assert stopped(config, design(config), tmp_path, depth=3) == "PASS"


def test_a_frame_that_goes_on_is_found(tmp_path: Path) -> None:
    fault = mutated(design(), TOP, (".tag_error(tag_error)", ".tag_error(tag_error & m_axi_0_arready)"))
    assert stopped(CONFIG, fault, tmp_path, depth=8, mode="bmc") == "FAIL"


@pytest.mark.parametrize("config", [CONFIG, PROTECTED], ids=["plain", "rows"])
def test_a_store_that_goes_on_is_found(tmp_path: Path, config: AcceleratorConfig) -> None:
    fault = mutated(design(config), TOP, (".clear(abort),", ".clear(abort & m_axi_0_arready),"))
    assert stopped(config, fault, tmp_path, depth=30, mode="bmc") == "FAIL"
