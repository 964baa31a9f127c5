// The queues of the lanes never overflow, whatever the columns are: the reserve that egru_lane keeps is enough for what is under way when egru_column_directory stops the bus.
//
// Two lanes behind one directory; the bus is driven through a register, as egru_step_sequencer does. Column lengths come from memories of unknown contents.
module egru_lane_proof #(
  parameter int unsigned QueueDepth = 6,
  parameter int unsigned Group = 0,
  localparam int unsigned Lanes = 2
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       send_i,
  input logic       end_i,
  input logic [1:0] column_i,
  input logic       value_i,
  input logic [60:0] load_i
);
  localparam int unsigned Reserve = 5, PlaceBits = 8, WeightBits = 2, CountBits = $clog2(QueueDepth + 1);

  initial assume (!rst_ni);  // and at any time later

  logic                            stall, item_valid, item_end, item_value;
  logic [Lanes-1:0][PlaceBits-1:0] place;
  logic [Lanes-1:0]                nearly_full, done, mac, working;
  logic [Lanes-1:0][7:0]           sums_unused;
  logic                            bus_valid_q, bus_end_q, bus_value_q;
  logic [1:0]                      bus_column_q;
  always_ff @(posedge clk_i) begin
    bus_valid_q <= send_i && !stall;
    bus_end_q   <= end_i;
    {bus_column_q, bus_value_q} <= {column_i, value_i};
    if (!rst_ni) bus_valid_q <= '0;
  end

  egru_column_directory #(.Lanes(Lanes), .Columns(4), .PlaceBits(PlaceBits), .EventBits(1), .Weights(2)) u_directory (
    .clk_i, .rst_ni, .bus_valid_i(bus_valid_q), .bus_end_i(bus_end_q), .bus_column_i(bus_column_q), .bus_value_i(bus_value_q),
    .stall_o(stall), .item_valid_o(item_valid), .item_end_o(item_end), .item_value_o(item_value), .item_place_o(place),
    .nearly_full_i(nearly_full), .load_i
  );
  for (genvar l = 0; l < Lanes; l++) begin : gen_lanes
    egru_lane #(
      .Entries(16), .StartBits(4), .CountBits(4), .EventBits(1), .WeightBits(WeightBits), .AccBits(8), .Rows(2), .FieldBits(2), .Group(Group != 0),
      .QueueDepth(QueueDepth), .Reserve(Reserve), .Weights(2)
    ) u_dut (
      .clk_i, .rst_ni, .item_valid_i(item_valid), .item_end_i(item_end), .item_value_i(item_value),
      .item_before_i(place[l][PlaceBits-1:4]), .item_count_i(place[l][3:0]), .nearly_full_o(nearly_full[l]), .done_o(done[l]),
      .rd_both_i(1'b0), .rd_valid_i(1'b0), .rd_addr_i('0), .rd_data_o(sums_unused[l]), .mac_o(mac[l]), .working_o(working[l]), .load_i
    );
  end

  // Insides; see sim/proving.py.
  (* hierconn *) wire \gen_lanes[0].u_dut.queue_ready ;
  (* hierconn *) wire \gen_lanes[1].u_dut.queue_ready ;
  (* hierconn *) wire \gen_lanes[0].u_dut.push ;
  (* hierconn *) wire \gen_lanes[1].u_dut.push ;
  (* hierconn *) wire [CountBits-1:0] \gen_lanes[0].u_dut.waiting ;
  (* hierconn *) wire [CountBits-1:0] \gen_lanes[1].u_dut.waiting ;
  (* hierconn *) wire \u_directory.valid_1_q ;
  wire [7:0] waiting_0 = 8'(\gen_lanes[0].u_dut.waiting );
  wire [7:0] waiting_1 = 8'(\gen_lanes[1].u_dut.waiting );
  wire       looked_up = \u_directory.valid_1_q ;
  wire [1:0] room  = {\gen_lanes[1].u_dut.queue_ready , \gen_lanes[0].u_dut.queue_ready };
  wire [1:0] pushed = {\gen_lanes[1].u_dut.push , \gen_lanes[0].u_dut.push };
  // Items that may still come when nothing more is sent, and those that will be sent before the stop is known.
  wire [7:0] under_way = 8'(bus_valid_q) + 8'(looked_up) + 8'(item_valid);
  wire [7:0] late_0    = stall ? 8'd0 : nearly_full[0] ? 8'd1 : 8'd2;
  wire [7:0] late_1    = stall ? 8'd0 : nearly_full[1] ? 8'd1 : 8'd2;

  always_comb begin
    assume (!load_i[60]);  // what cannot be written would be a constant
    if (rst_ni) begin
      no_overflow: assert ((pushed & ~room) == '0);
      ends_reach_all: assert (!item_valid || !item_end || pushed == '1);
      busy_is_shown: assert ((mac & ~working) == '0);
      invariant_before_stop: assert ((nearly_full[0] || 32'(waiting_0) <= QueueDepth - Reserve) && (nearly_full[1] || 32'(waiting_1) <= QueueDepth - Reserve));
      invariant_places: assert (32'(waiting_0 + under_way + late_0) <= QueueDepth && 32'(waiting_1 + under_way + late_1) <= QueueDepth);
    end
  end
endmodule
