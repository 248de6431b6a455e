// Simple dual-port RAM: one synchronous read port (old data on a collision), one write port.
// Contents are undefined after power-up: UltraRAM has no initial values, and nothing may rely on any.
module hwgen_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDR = 4,
    parameter STYLE = "auto"
) (
    input  wire             clk,
    input  wire [ADDR-1:0]  read_addr,
    output reg  [WIDTH-1:0] read_data,
    input  wire [ADDR-1:0]  write_addr,
    input  wire             write_en,
    input  wire [WIDTH-1:0] write_data
);
    (* ram_style = STYLE *)
    reg [WIDTH-1:0] rows [0:DEPTH-1];

    always @(posedge clk) begin
        read_data <= rows[read_addr];
        if (write_en)
            rows[write_addr] <= write_data;
    end
endmodule
