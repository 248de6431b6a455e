// An AXI4 memory for simulation: PORTS 128-bit ports on one memory whose bandwidth all ports and both directions share.
//
// Every cycle the pool gains pool_num/pool_den bytes (kept in units of 1/pool_den byte, at most a few beats' worth); every
// data beat of any port and direction takes 16. Ports are served round robin. A read's first beat leaves no earlier than
// read_latency cycles after its address was taken; a write's response no earlier than write_latency after its last beat.
// Bursts of one port are answered in order. What an accelerator must never do (a burst across 4 KiB, a wrong size, an address
// that changes while it waits, WLAST in the wrong place) sets `violation`, sticky.
//
// Files are moved by the backdoor: a change of load_toggle reads <exchange>/load_<file>.bin to byte address backdoor_addr,
// a change of dump_toggle writes backdoor_bytes bytes to <exchange>/dump_<file>.bin. Both happen at the next clock edge.
module dram_model #(
    parameter int PORTS = 1,
    parameter int ADDR_BITS = 40,
    parameter int LOG2_WORDS = 22,              // 16-byte words of memory
    parameter logic [ADDR_BITS-1:0] BASE = 0,   // byte address of the first word
    parameter int QUEUE = 16                    // bursts a port accepts before the first is answered
) (
    input logic clk,
    input logic rst,
    // settings, read every cycle
    input logic [31:0] pool_num,
    input logic [31:0] pool_den,
    input logic [15:0] read_latency,
    input logic [15:0] write_latency,
    input logic [7:0] stall,                    // each channel pauses in stall/256 of the cycles
    input logic [31:0] stall_seed,
    input logic error_enable,                   // reads and writes of the beat at error_addr answer SLVERR
    input logic [ADDR_BITS-1:0] error_addr,
    // backdoor
    input logic load_toggle,
    input logic dump_toggle,
    input logic [31:0] backdoor_file,
    input logic [63:0] backdoor_addr,
    input logic [63:0] backdoor_bytes,
    // statistics
    output logic [7:0] violation,
    output logic [63:0] beats_read,
    output logic [63:0] beats_written,
    output logic [31:0] bursts_open,
    // AXI4
    input logic [PORTS-1:0] arvalid,
    output logic [PORTS-1:0] arready,
    input logic [PORTS*ADDR_BITS-1:0] araddr,
    input logic [PORTS*8-1:0] arlen,
    input logic [PORTS*3-1:0] arsize,
    input logic [PORTS*2-1:0] arburst,
    output logic [PORTS-1:0] rvalid,
    input logic [PORTS-1:0] rready,
    output logic [PORTS*128-1:0] rdata,
    output logic [PORTS*2-1:0] rresp,
    output logic [PORTS-1:0] rlast,
    input logic [PORTS-1:0] awvalid,
    output logic [PORTS-1:0] awready,
    input logic [PORTS*ADDR_BITS-1:0] awaddr,
    input logic [PORTS*8-1:0] awlen,
    input logic [PORTS*3-1:0] awsize,
    input logic [PORTS*2-1:0] awburst,
    input logic [PORTS-1:0] wvalid,
    output logic [PORTS-1:0] wready,
    input logic [PORTS*128-1:0] wdata,
    input logic [PORTS*16-1:0] wstrb,
    input logic [PORTS-1:0] wlast,
    output logic [PORTS-1:0] bvalid,
    input logic [PORTS-1:0] bready,
    output logic [PORTS*2-1:0] bresp
);
  localparam int W_DEPTH = 4;
  localparam int VIOLATION_BURST = 0, VIOLATION_STABLE = 1, VIOLATION_LAST = 2;

  logic [127:0] mem[0:(1 << LOG2_WORDS)-1];

  typedef struct {
    logic [ADDR_BITS-1:0] addr;
    int beats;
    longint ready_at;
  } burst_t;

  burst_t ar_q[PORTS][QUEUE], aw_q[PORTS][QUEUE];
  longint b_at[PORTS][QUEUE];
  logic [1:0] b_resp[PORTS][QUEUE];
  int ar_head[PORTS], ar_count[PORTS], aw_head[PORTS], aw_count[PORTS], b_head[PORTS], b_count[PORTS];
  int r_beat[PORTS], w_beat[PORTS];
  logic [1:0] w_error[PORTS];
  logic [127:0] w_data[PORTS][W_DEPTH];
  logic [15:0] w_strb[PORTS][W_DEPTH];
  logic w_last[PORTS][W_DEPTH];
  int w_head[PORTS], w_count[PORTS];
  logic [PORTS-1:0] ar_held, aw_held;
  logic [PORTS*ADDR_BITS-1:0] ar_seen, aw_seen;

  longint now, tokens, cost, ceiling;
  int turn, next_turn;
  logic [31:0] noise;
  logic load_done, dump_done;
  string exchange;

  initial begin
    load_done = 0;
    dump_done = 0;
    if (!$value$plusargs("exchange=%s", exchange)) exchange = ".";
  end

  function automatic logic [31:0] next_noise(logic [31:0] x);
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
  endfunction

  function automatic logic inside_memory(logic [ADDR_BITS-1:0] addr);
    return addr >= BASE && ((addr - BASE) >> 4) < (ADDR_BITS'(1) << LOG2_WORDS);
  endfunction

  function automatic logic [1:0] response(logic [ADDR_BITS-1:0] addr);
    if (!inside_memory(addr)) return 2'b11;
    if (error_enable && (addr >> 4) == (error_addr >> 4)) return 2'b10;
    return 2'b00;
  endfunction

  function automatic logic bad_burst(logic [ADDR_BITS-1:0] addr, logic [7:0] len, logic [2:0] size, logic [1:0] burst);
    return size != 3'd4 || burst != 2'b01 || addr[3:0] != 0 || (int'(addr[11:4]) + int'(len)) > 255;
  endfunction

  // ---------------------------------------------------------------- files
  integer fd;
  longint at, left;
  logic [127:0] word;
  always @(posedge clk) begin
    if (load_toggle != load_done) begin
      load_done <= load_toggle;
      fd = $fopen($sformatf("%s/load_%0d.bin", exchange, backdoor_file), "rb");
      if (fd == 0) $fatal(1, "dram_model: cannot open load_%0d.bin in %s", backdoor_file, exchange);
      at = (longint'(backdoor_addr) - longint'(BASE)) >> 4;
      for (left = (longint'(backdoor_bytes) + 15) >> 4; left > 0; left--) begin
        if ($fread(word, fd) == 0) $fatal(1, "dram_model: load_%0d.bin is too short", backdoor_file);
        mem[at[LOG2_WORDS-1:0]] = {<<8{word}};
        at++;
      end
      $fclose(fd);
    end
    if (dump_toggle != dump_done) begin
      dump_done <= dump_toggle;
      fd = $fopen($sformatf("%s/dump_%0d.bin", exchange, backdoor_file), "wb");
      if (fd == 0) $fatal(1, "dram_model: cannot open dump_%0d.bin in %s", backdoor_file, exchange);
      at = (longint'(backdoor_addr) - longint'(BASE)) >> 4;
      for (left = (longint'(backdoor_bytes) + 15) >> 4; left > 0; left--) begin
        $fwrite(fd, "%u", mem[at[LOG2_WORDS-1:0]]);
        at++;
      end
      $fclose(fd);
    end
  end

  // ---------------------------------------------------------------- AXI
  int p, q, slot, reads, writes;
  logic [31:0] n;
  logic [ADDR_BITS-1:0] a;
  logic pause;
  always @(posedge clk) begin
    now <= now + 1;
    n = noise;
    cost = 16 * longint'(pool_den);
    ceiling = longint'(pool_num) + cost * (PORTS + 2);
    tokens = tokens + longint'(pool_num);
    if (tokens > ceiling) tokens = ceiling;

    for (p = 0; p < PORTS; p++) begin
      // an address waits unchanged until it is taken
      if (ar_held[p] && (!arvalid[p] || araddr[p*ADDR_BITS+:ADDR_BITS] != ar_seen[p*ADDR_BITS+:ADDR_BITS]))
        violation[VIOLATION_STABLE] <= 1;
      if (aw_held[p] && (!awvalid[p] || awaddr[p*ADDR_BITS+:ADDR_BITS] != aw_seen[p*ADDR_BITS+:ADDR_BITS]))
        violation[VIOLATION_STABLE] <= 1;
      ar_held[p] <= arvalid[p] && !arready[p];
      aw_held[p] <= awvalid[p] && !awready[p];
      ar_seen[p*ADDR_BITS+:ADDR_BITS] <= araddr[p*ADDR_BITS+:ADDR_BITS];
      aw_seen[p*ADDR_BITS+:ADDR_BITS] <= awaddr[p*ADDR_BITS+:ADDR_BITS];

      if (arvalid[p] && arready[p]) begin
        slot = (ar_head[p] + ar_count[p]) % QUEUE;
        ar_q[p][slot].addr = araddr[p*ADDR_BITS+:ADDR_BITS];
        ar_q[p][slot].beats = int'(arlen[p*8+:8]) + 1;
        ar_q[p][slot].ready_at = now + longint'(read_latency);
        ar_count[p] = ar_count[p] + 1;
        if (bad_burst(araddr[p*ADDR_BITS+:ADDR_BITS], arlen[p*8+:8], arsize[p*3+:3], arburst[p*2+:2]))
          violation[VIOLATION_BURST] <= 1;
      end
      if (awvalid[p] && awready[p]) begin
        slot = (aw_head[p] + aw_count[p]) % QUEUE;
        aw_q[p][slot].addr = awaddr[p*ADDR_BITS+:ADDR_BITS];
        aw_q[p][slot].beats = int'(awlen[p*8+:8]) + 1;
        aw_count[p] = aw_count[p] + 1;
        if (bad_burst(awaddr[p*ADDR_BITS+:ADDR_BITS], awlen[p*8+:8], awsize[p*3+:3], awburst[p*2+:2]))
          violation[VIOLATION_BURST] <= 1;
      end
      if (wvalid[p] && wready[p]) begin
        slot = (w_head[p] + w_count[p]) % W_DEPTH;
        w_data[p][slot] = wdata[p*128+:128];
        w_strb[p][slot] = wstrb[p*16+:16];
        w_last[p][slot] = wlast[p];
        w_count[p] = w_count[p] + 1;
      end
      if (rvalid[p] && rready[p]) rvalid[p] <= 0;
      if (bvalid[p] && bready[p]) bvalid[p] <= 0;
    end

    // one beat per port and direction, while the pool lasts; reads at even turns, writes at odd ones
    reads = 0;
    writes = 0;
    next_turn = turn;
    for (q = 0; q < 2 * PORTS; q++) begin
      p = ((turn + q) >> 1) % PORTS;
      n = next_noise(n);
      pause = n[7:0] < stall;
      if (((turn + q) & 1) == 0) begin
        if (tokens >= cost && ar_count[p] != 0 && now >= ar_q[p][ar_head[p]].ready_at && (!rvalid[p] || rready[p])
            && !pause) begin
          tokens = tokens - cost;
          next_turn = (turn + q + 1) % (2 * PORTS);
          a = ar_q[p][ar_head[p]].addr + ADDR_BITS'(16 * r_beat[p]);
          rvalid[p] <= 1;
          rdata[p*128+:128] <= inside_memory(a) ? mem[LOG2_WORDS'((a-BASE)>>4)] : {4{n}};
          rresp[p*2+:2] <= response(a);
          rlast[p] <= r_beat[p] + 1 == ar_q[p][ar_head[p]].beats;
          reads++;
          r_beat[p] = r_beat[p] + 1;
          if (r_beat[p] == ar_q[p][ar_head[p]].beats) begin
            r_beat[p] = 0;
            ar_head[p] = (ar_head[p] + 1) % QUEUE;
            ar_count[p] = ar_count[p] - 1;
          end
        end
      end else if (tokens >= cost && aw_count[p] != 0 && w_count[p] != 0 && b_count[p] < QUEUE && !pause) begin
        tokens = tokens - cost;
        next_turn = (turn + q + 1) % (2 * PORTS);
        a = aw_q[p][aw_head[p]].addr + ADDR_BITS'(16 * w_beat[p]);
        if (w_beat[p] == 0) w_error[p] = 0;
        w_error[p] = w_error[p] | response(a);
        if (response(a) == 0)
          for (int i = 0; i < 16; i++)
            if (w_strb[p][w_head[p]][i]) mem[LOG2_WORDS'((a-BASE)>>4)][i*8+:8] = w_data[p][w_head[p]][i*8+:8];
        writes++;
        w_beat[p] = w_beat[p] + 1;
        if (w_last[p][w_head[p]] != (w_beat[p] == aw_q[p][aw_head[p]].beats)) violation[VIOLATION_LAST] <= 1;
        w_head[p] = (w_head[p] + 1) % W_DEPTH;
        w_count[p] = w_count[p] - 1;
        if (w_beat[p] == aw_q[p][aw_head[p]].beats) begin
          w_beat[p] = 0;
          aw_head[p] = (aw_head[p] + 1) % QUEUE;
          aw_count[p] = aw_count[p] - 1;
          slot = (b_head[p] + b_count[p]) % QUEUE;
          b_at[p][slot] = now + longint'(write_latency);
          b_resp[p][slot] = w_error[p];
          b_count[p] = b_count[p] + 1;
        end
      end
    end
    turn = next_turn;
    beats_read <= beats_read + longint'(reads);
    beats_written <= beats_written + longint'(writes);

    bursts_open = 0;
    for (p = 0; p < PORTS; p++) begin
      n = next_noise(n);
      arready[p] <= ar_count[p] < QUEUE && !(n[7:0] < stall);
      awready[p] <= aw_count[p] < QUEUE && !(n[15:8] < stall);
      wready[p] <= w_count[p] < W_DEPTH - 1 && !(n[23:16] < stall);
      if (b_count[p] != 0 && now >= b_at[p][b_head[p]] && (!bvalid[p] || bready[p]) && !(n[31:24] < stall)) begin
        bvalid[p] <= 1;
        bresp[p*2+:2] <= b_resp[p][b_head[p]];
        b_head[p] = (b_head[p] + 1) % QUEUE;
        b_count[p] = b_count[p] - 1;
      end
      bursts_open = bursts_open + ar_count[p] + aw_count[p] + b_count[p] + 32'(rvalid[p]) + 32'(bvalid[p]);
    end
    noise <= n;

    if (rst) begin
      now <= 0;
      tokens = 0;
      turn = 0;
      noise <= stall_seed | 1;
      violation <= 0;
      beats_read <= 0;
      beats_written <= 0;
      ar_held <= 0;
      aw_held <= 0;
      arready <= 0;
      awready <= 0;
      wready <= 0;
      rvalid <= 0;
      bvalid <= 0;
      for (p = 0; p < PORTS; p++) begin
        ar_head[p] = 0;
        ar_count[p] = 0;
        aw_head[p] = 0;
        aw_count[p] = 0;
        b_head[p] = 0;
        b_count[p] = 0;
        w_head[p] = 0;
        w_count[p] = 0;
        r_beat[p] = 0;
        w_beat[p] = 0;
        w_error[p] = 0;
      end
    end
  end
endmodule
