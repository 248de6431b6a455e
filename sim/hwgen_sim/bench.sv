// One design of one or several accelerators, and its memory. The clock is made here, which is several times faster than from outside; registers are
// reached by `reg_*` (a change of reg_toggle starts an access, reg_done follows it), memory by the backdoor of dram_model.
// Everything from outside changes at falling clock edges.
module bench #(
    parameter int PORTS = 1,
    parameter int LOG2_WORDS = 22
) ();
  localparam int ADDR_BITS = 40;
  localparam logic [ADDR_BITS-1:0] BASE = 40'h8_0000_0000;

  bit clk /*verilator public_flat_rd*/ = 0;
  always #1 clk = ~clk;

  // ---------------------------------------------------------------- from and to outside
  bit rst  /*verilator public_flat_rw*/ = 1;
  logic irq  /*verilator public_flat_rd*/;
  bit reg_toggle  /*verilator public_flat_rw*/ = 0;
  bit reg_done  /*verilator public_flat_rd*/ = 0;
  bit reg_write  /*verilator public_flat_rw*/ = 0;
  bit [15:0] reg_addr  /*verilator public_flat_rw*/ = 0;
  bit [31:0] reg_wdata  /*verilator public_flat_rw*/ = 0;
  bit [31:0] reg_rdata  /*verilator public_flat_rd*/ = 0;
  bit [31:0] pool_num  /*verilator public_flat_rw*/ = 40;
  bit [31:0] pool_den  /*verilator public_flat_rw*/ = 1;
  bit [15:0] read_latency  /*verilator public_flat_rw*/ = 100;
  bit [15:0] write_latency  /*verilator public_flat_rw*/ = 20;
  bit [7:0] stall  /*verilator public_flat_rw*/ = 0;
  bit [31:0] stall_seed  /*verilator public_flat_rw*/ = 1;
  bit error_enable  /*verilator public_flat_rw*/ = 0;
  bit [ADDR_BITS-1:0] error_addr  /*verilator public_flat_rw*/ = 0;
  bit load_toggle  /*verilator public_flat_rw*/ = 0;
  bit dump_toggle  /*verilator public_flat_rw*/ = 0;
  bit [31:0] backdoor_file  /*verilator public_flat_rw*/ = 0;
  bit [63:0] backdoor_addr  /*verilator public_flat_rw*/ = 0;
  bit [63:0] backdoor_bytes  /*verilator public_flat_rw*/ = 0;
  logic [7:0] violation  /*verilator public_flat_rd*/;
  logic [63:0] beats_read  /*verilator public_flat_rd*/;
  logic [63:0] beats_written  /*verilator public_flat_rd*/;
  logic [31:0] bursts_open  /*verilator public_flat_rd*/;
  bit [63:0] now  /*verilator public_flat_rd*/ = 0;
  // a wait of so many cycles: set wait_until, then wait for an edge of `waited`
  bit [63:0] wait_until  /*verilator public_flat_rw*/ = 0;
  bit waited  /*verilator public_flat_rd*/ = 0;

  // logic behind a signal that can be written from outside is evaluated at every edge, whether it changes or not: none of
  // the accelerator's may be
  bit reset = 1;
  always @(posedge clk) begin
    reset <= rst;
    now <= now + 1;
    waited <= now >= wait_until;
  end

  // ---------------------------------------------------------------- AXI4-Lite master
  logic [15:0] awaddr_l, araddr_l;
  logic awvalid_l = 0, wvalid_l = 0, bready_l = 0, arvalid_l = 0, rready_l = 0;
  logic awready_l, wready_l, bvalid_l, arready_l, rvalid_l;
  logic [31:0] wdata_l, rdata_l;
  logic [1:0] bresp_l, rresp_l;
  bit reg_running = 0;
  always @(posedge clk) begin
    if (!reg_running) begin
      if (reg_toggle != reg_done) begin
        reg_running <= 1;
        awaddr_l <= reg_addr;
        araddr_l <= reg_addr;
        wdata_l <= reg_wdata;
        awvalid_l <= reg_write;
        wvalid_l <= reg_write;
        bready_l <= reg_write;
        arvalid_l <= !reg_write;
        rready_l <= !reg_write;
      end
    end else begin
      if (awready_l) awvalid_l <= 0;
      if (wready_l) wvalid_l <= 0;
      if (arready_l) arvalid_l <= 0;
      if (rvalid_l && rready_l) reg_rdata <= rdata_l;
      if ((rvalid_l && rready_l) || (bvalid_l && bready_l)) begin
        rready_l <= 0;
        bready_l <= 0;
        reg_running <= 0;
        reg_done <= reg_toggle;
      end
    end
  end

  // ---------------------------------------------------------------- memory
  logic [PORTS-1:0] arvalid, arready, rvalid, rready, rlast, awvalid, awready, wvalid, wready, wlast, bvalid, bready;
  logic [PORTS*ADDR_BITS-1:0] araddr, awaddr;
  logic [PORTS*8-1:0] arlen, awlen;
  logic [PORTS*3-1:0] arsize, awsize;
  logic [PORTS*2-1:0] arburst, awburst, rresp, bresp;
  logic [PORTS*128-1:0] rdata, wdata;
  logic [PORTS*16-1:0] wstrb;

  dram_model #(
      .PORTS(PORTS),
      .ADDR_BITS(ADDR_BITS),
      .LOG2_WORDS(LOG2_WORDS),
      .BASE(BASE)
  ) dram (.rst(reset), .*);

  accelerator_ports accelerator (.rst(reset), .*);
endmodule
