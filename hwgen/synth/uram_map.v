// To Yosys's own cell: port A writes, port B reads.
module $__HWGEN_URAM_ (...);
    parameter PORT_R_USED = 1;
    parameter PORT_W_USED = 1;
    input CLK_C;
    input PORT_R_CLK, PORT_R_CLK_EN;
    input [11:0] PORT_R_ADDR;
    output [71:0] PORT_R_RD_DATA;
    input PORT_W_CLK, PORT_W_WR_EN;
    input [11:0] PORT_W_ADDR;
    input [71:0] PORT_W_WR_DATA;
    wire [71:0] unused;

    \$__XILINX_URAM_ #(.OPTION_BYTEWIDTH(9)) _TECHMAP_REPLACE_ (
        .CLK_C(CLK_C),
        .PORT_A_CLK(PORT_W_CLK), .PORT_A_CLK_EN(PORT_W_WR_EN), .PORT_A_RD_SRST(1'b0), .PORT_A_RD_ARST(1'b0),
        .PORT_A_WR_EN(PORT_W_WR_EN), .PORT_A_WR_BE(8'hff), .PORT_A_ADDR(PORT_W_ADDR),
        .PORT_A_WR_DATA(PORT_W_WR_DATA), .PORT_A_RD_DATA(unused),
        .PORT_B_CLK(PORT_R_CLK), .PORT_B_CLK_EN(PORT_R_CLK_EN), .PORT_B_RD_SRST(1'b0), .PORT_B_RD_ARST(1'b0),
        .PORT_B_WR_EN(1'b0), .PORT_B_WR_BE(8'h00), .PORT_B_ADDR(PORT_R_ADDR),
        .PORT_B_WR_DATA(72'b0), .PORT_B_RD_DATA(PORT_R_RD_DATA)
    );
endmodule
