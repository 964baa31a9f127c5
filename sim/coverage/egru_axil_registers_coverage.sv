// Functional coverage of egru_axil_registers: every handshake stalled, every kind of access, sticky bits set while they are cleared.
module egru_axil_registers_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic awvalid,
  input logic wvalid,
  input logic awready,
  input logic bvalid,
  input logic bready,
  input logic arvalid,
  input logic arready,
  input logic rvalid,
  input logic rready,
  input logic write,
  input logic write_mapped,
  input logic read,
  input logic read_mapped,
  input logic partial,
  input logic load_refused,
  input logic busy_i,
  input logic soft_reset_o,
  input logic clear,
  input logic irq_o,
  input logic irq_race,
  input logic error_race,
  input logic counted
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  address_waits_for_data:            cover property (awvalid && !wvalid);
  data_waits_for_address:            cover property (wvalid && !awvalid);
  write_waits_for_response:          cover property (awvalid && wvalid && !awready);
  write_response_stalled:            cover property (bvalid && !bready);
  read_address_stalled:              cover property (arvalid && !arready);
  read_data_stalled:                 cover property (rvalid && !rready);
  write_and_read_at_once:            cover property (write && read);
  unmapped_write:                    cover property (write && !write_mapped);
  unmapped_read:                     cover property (read && !read_mapped);
  partial_write:                     cover property (write && partial);
  refused_load:                      cover property (load_refused);
  refused_load_while_busy:           cover property (load_refused && busy_i);
  soft_reset_while_busy:             cover property (soft_reset_o && busy_i);
  clear_while_counting:              cover property (clear && counted);
  interrupt:                         cover property (irq_o);
  sequence_ends_while_it_is_cleared: cover property (irq_race);
  error_while_it_is_cleared:         cover property (error_race);
  reset_in_a_write:                  cover property (disable iff (1'b0) $past(bvalid) && $past(rst_ni) && !rst_ni);
  reset_in_a_read:                   cover property (disable iff (1'b0) $past(arvalid) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_axil_registers egru_axil_registers_coverage u_coverage (
  .clk_i, .rst_ni, .awvalid(s_axil_awvalid), .wvalid(s_axil_wvalid), .awready(s_axil_awready), .bvalid(s_axil_bvalid),
  .bready(s_axil_bready), .arvalid(s_axil_arvalid), .arready(s_axil_arready), .rvalid(s_axil_rvalid), .rready(s_axil_rready), .write,
  .write_mapped, .read, .read_mapped, .partial(s_axil_wstrb != '1), .load_refused, .busy_i, .soft_reset_o, .clear(clear_q), .irq_o,
  .irq_race(sequence_end_i && irq_clear), .error_race(token_error_i && errors_clear[0]), .counted(step_i)
);
