// Writes the engine's counters to a file each time the sequencer has issued a descriptor's last pixel, and at the ends of
// the compute program: <exchange>/counters.txt, one line per event,
//   first C X     before the first pixel of the frame is issued
//   issued C X    behind the last pixel of a descriptor of the array
//   beside C X    when the unit beside the array has retired a descriptor
//   finished C X  when the frame has ended
// C: cycles of the frame so far (decimal, as frame control counts them), X: all counters (hexadecimal, the first one in
// the lowest bits). Lines are flushed, so that they can be read while the simulation runs.
module cycle_monitor #(
    parameter int COUNTERS = 1,  // of 32 bits each
    parameter int BUSY = 0       // index of the one that counts issued pixels
) (
    input logic clk,
    input logic rst,
    input logic [31:0] cycles,               // of the frame
    input logic [32*COUNTERS-1:0] counters,  // a cycle's class is in them two cycles later
    input logic issued,                      // the array's last pixel of a descriptor is issued
    input logic beside,                      // the unit beside it retires a descriptor
    input logic finished                     // compute, loads and stores are done
);
  int file;
  logic issued_1 = 0, issued_2 = 0, beside_1 = 0, beside_2 = 0, finished_1 = 0, finished_2 = 0, finished_3 = 0;
  logic [31:0] cycles_1 = 0;
  logic [32*COUNTERS-1:0] counters_1 = 0;

  initial begin
    string exchange;
    if (!$value$plusargs("exchange=%s", exchange)) exchange = ".";
    file = $fopen({exchange, "/counters.txt"}, "w");
  end

  // `cycles` is 1 in the cycle after the start: less one it counts what the counters hold, up to two cycles ago
  always @(posedge clk) begin
    issued_1 <= issued && !rst;
    issued_2 <= issued_1;
    beside_1 <= beside && !rst;
    beside_2 <= beside_1;
    finished_1 <= finished && !rst;
    finished_2 <= finished_1;
    finished_3 <= finished_2;
    cycles_1 <= cycles;
    counters_1 <= counters;
    if (!rst) begin
      if (counters[32*BUSY+:32] != 0 && counters_1[32*BUSY+:32] == 0) begin
        $fwrite(file, "first %0d %h\n", cycles_1 - 1, counters_1);
        $fflush(file);
      end
      if (issued_2) begin
        $fwrite(file, "issued %0d %h\n", cycles - 1, counters);
        $fflush(file);
      end
      if (beside_2) begin
        $fwrite(file, "beside %0d %h\n", cycles - 1, counters);
        $fflush(file);
      end
      if (finished_2 && !finished_3) begin
        $fwrite(file, "finished %0d %h\n", cycles - 1, counters);
        $fflush(file);
      end
    end
  end

  final $fclose(file);
endmodule
