// Test bench of dram_model: ports 0..2 are driven by generators that read and write as fast as they may,
// port 3 (m_axi_*) by an AXI master of cocotbext-axi.
module dram_bench (
    input logic clk
);
  logic rst = 1;
  logic [31:0] pool_num = 40, pool_den = 1;
  logic [15:0] read_latency = 100, write_latency = 20;
  logic [7:0] stall = 0;
  logic [31:0] stall_seed = 1;
  logic error_enable = 0;
  logic [39:0] error_addr = 0;
  logic load_toggle = 0, dump_toggle = 0;
  logic [31:0] backdoor_file = 0;
  logic [63:0] backdoor_addr = 0, backdoor_bytes = 0;
  logic [7:0] violation;
  logic [63:0] beats_read, beats_written;
  logic [31:0] bursts_open;

  // generators: `bursts` bursts of 16 beats on each enabled port and direction
  logic [2:0] reading = 0, writing = 0;
  logic [31:0] bursts = 0;
  logic [31:0] ar_left[3], r_left[3], aw_left[3], w_left[3], b_left[3];
  logic [31:0] cycles, first_beat;
  logic running = 0, busy;

  logic m_axi_arid = 0, m_axi_arvalid = 0, m_axi_arready, m_axi_rid, m_axi_rlast, m_axi_rvalid, m_axi_rready = 0;
  logic m_axi_awid = 0, m_axi_awvalid = 0, m_axi_awready, m_axi_wlast = 0, m_axi_wvalid = 0, m_axi_wready, m_axi_bid;
  logic m_axi_bvalid, m_axi_bready = 0;
  logic [39:0] m_axi_araddr = 0, m_axi_awaddr = 0;
  logic [7:0] m_axi_arlen = 0, m_axi_awlen = 0;
  logic [2:0] m_axi_arsize = 4, m_axi_awsize = 4;
  logic [1:0] m_axi_arburst = 1, m_axi_awburst = 1, m_axi_rresp, m_axi_bresp;
  logic [127:0] m_axi_rdata, m_axi_wdata = 0;
  logic [15:0] m_axi_wstrb = 0;
  // the master waits for each command, so the latest identifier is the one to answer
  always @(posedge clk) begin
    if (m_axi_arvalid) m_axi_rid <= m_axi_arid;
    if (m_axi_awvalid) m_axi_bid <= m_axi_awid;
  end

  logic [3:0] arvalid, arready, rvalid, rready, rlast, awvalid, awready, wvalid, wready, wlast, bvalid, bready;
  logic [4*40-1:0] araddr, awaddr;
  logic [4*128-1:0] rdata;
  logic [7:0] rresp, bresp;

  always_comb begin
    busy = 0;
    for (int i = 0; i < 3; i++) begin
      arvalid[i] = running && ar_left[i] != 0;
      araddr[i*40+:40] = 40'h8_0000_0000 + 40'(i) * 40'h10000 + 40'(bursts - ar_left[i]) * 256;
      rready[i] = 1;
      awvalid[i] = running && aw_left[i] != 0;
      awaddr[i*40+:40] = 40'h8_0010_0000 + 40'(i) * 40'h10000 + 40'(bursts - aw_left[i]) * 256;
      wvalid[i] = running && w_left[i] != 0;
      wlast[i] = w_left[i][3:0] == 1;
      bready[i] = 1;
      busy |= r_left[i] != 0 || b_left[i] != 0;
    end
    {arvalid[3], rready[3], awvalid[3], wvalid[3], wlast[3], bready[3]} =
        {m_axi_arvalid, m_axi_rready, m_axi_awvalid, m_axi_wvalid, m_axi_wlast, m_axi_bready};
    araddr[120+:40] = m_axi_araddr;
    awaddr[120+:40] = m_axi_awaddr;
    m_axi_arready = arready[3];
    m_axi_rvalid = rvalid[3];
    m_axi_rlast = rlast[3];
    m_axi_rdata = rdata[384+:128];
    m_axi_rresp = rresp[7:6];
    m_axi_awready = awready[3];
    m_axi_wready = wready[3];
    m_axi_bvalid = bvalid[3];
    m_axi_bresp = bresp[7:6];
  end

  always @(posedge clk) begin
    if (!running) begin
      cycles <= 0;
      first_beat <= 0;
      for (int i = 0; i < 3; i++) begin
        ar_left[i] <= reading[i] ? bursts : 0;
        r_left[i] <= reading[i] ? bursts * 16 : 0;
        aw_left[i] <= writing[i] ? bursts : 0;
        w_left[i] <= writing[i] ? bursts * 16 : 0;
        b_left[i] <= writing[i] ? bursts : 0;
      end
    end else begin
      if (busy) cycles <= cycles + 1;
      if (first_beat == 0 && rvalid[2:0] != 0) first_beat <= cycles;
      for (int i = 0; i < 3; i++) begin
        if (arvalid[i] && arready[i]) ar_left[i] <= ar_left[i] - 1;
        if (rvalid[i]) r_left[i] <= r_left[i] - 1;
        if (awvalid[i] && awready[i]) aw_left[i] <= aw_left[i] - 1;
        if (wvalid[i] && wready[i]) w_left[i] <= w_left[i] - 1;
        if (bvalid[i]) b_left[i] <= b_left[i] - 1;
      end
    end
  end

  dram_model #(
      .PORTS(4),
      .LOG2_WORDS(18),
      .BASE(40'h8_0000_0000)
  ) dram (
      .arlen({m_axi_arlen, {3{8'd15}}}),
      .arsize({m_axi_arsize, {3{3'd4}}}),
      .arburst({m_axi_arburst, {3{2'd1}}}),
      .awlen({m_axi_awlen, {3{8'd15}}}),
      .awsize({m_axi_awsize, {3{3'd4}}}),
      .awburst({m_axi_awburst, {3{2'd1}}}),
      .wdata({m_axi_wdata, {3{128'(cycles)}}}),
      .wstrb({m_axi_wstrb, {3{16'hffff}}}),
      .*
  );
endmodule
