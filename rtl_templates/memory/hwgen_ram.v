// Simple dual-port RAM: one synchronous read port (old data on a collision), one write port with granules.
// Contents are undefined after power-up: UltraRAM has no initial values, and nothing may rely on any.
module hwgen_ram #(
    parameter WIDTH = 8,
    parameter DEPTH = 16,
    parameter ADDR = 4,
    parameter GRANULES = 1,
    parameter STYLE = "auto"
) (
    input  wire                clk,
    input  wire [ADDR-1:0]     read_addr,
    output reg  [WIDTH-1:0]    read_data,
    input  wire [ADDR-1:0]     write_addr,
    input  wire [GRANULES-1:0] write_en,
    input  wire [WIDTH-1:0]    write_data
);
    localparam GRANULE = WIDTH / GRANULES;
    (* ram_style = STYLE *)
    reg [WIDTH-1:0] rows [0:DEPTH-1];
    integer g;

    always @(posedge clk) begin
        read_data <= rows[read_addr];
        for (g = 0; g < GRANULES; g = g + 1)
            if (write_en[g])
                rows[write_addr][g*GRANULE +: GRANULE] <= write_data[g*GRANULE +: GRANULE];
    end
endmodule
