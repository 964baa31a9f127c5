"""What is proved of the library modules: the one table that the command, the tests and the page of proofs share."""

from sim.proving import OWN_ASSERTIONS, Fault, Proof

_OWN = {OWN_ASSERTIONS: "what the module asserts itself"}
_STABLE = "valid holds, and the payload does not change, until it is taken"

PROOFS: tuple[Proof, ...] = (
    Proof(
        module="egru_fifo",
        properties={
            "occupancy": "the count is pushes less pops, never above the depth; valid unless empty, ready unless full",
            "order_and_data": "any pushed word leaves after those before it, unchanged, once",
            "stable_payload": _STABLE,
            "leaves_in_time": "with a sink ready in one of 3 cycles a word leaves within 3 * depth cycles",
            **_OWN,
        },
        depth=4,
        shapes=tuple({"Depth": depth} for depth in (4, 1, 2, 3, 5, 8)),
        fault=Fault("egru_fifo", "if (pop)  read_q", "if (pop && !push)  read_q", "order_and_data"),
    ),
    Proof(
        module="egru_arbiter",
        properties={
            "one_grant": "at most one input is taken in a cycle",
            "only_requesters": "only an input that offers a word is taken",
            "lowest_first": "it is the lowest of those that offer one",
            "takes_with_room": "one is taken whenever one is offered and the queue of two has room",
            "nothing_made_up": "a word is offered at the output exactly while one is held",
            "order_and_data": "any word taken leaves after those taken before it, unchanged, once",
            "stable_payload": _STABLE,
            "leaves_in_time": "with a sink ready in one of 3 cycles a word leaves within 6 cycles",
            **_OWN,
        },
        depth=4,
        shapes=({"Inputs": 3}, {"Inputs": 1}, {"Inputs": 5}),
        fault=Fault("egru_arbiter", "assign ready_o = grant &", "assign ready_o = valid_i &", "one_grant"),
    ),
    Proof(
        module="egru_layer_counters",
        properties={
            "nothing_lost": "word and small counter together are the sum of all increments since the last clear, modulo 2^CounterBits",
            "no_overflow": "a small counter holds at most what its round can bring",
            "reading": "an index held for 17 cycles reads the counter as of its last refresh",
        },
        depth=5,
        shapes=({"Lanes": 2}, {"Lanes": 1}, {"Lanes": 9, "CounterBits": 9}),
        fault=Fault(
            "egru_layer_counters",
            "slot_d == 4'(c)) ? '0 : recent_q) + Bits'(amount[c]);",
            "slot_d == 4'(c)) ? '0 : recent_q + Bits'(amount[c]));",
            "nothing_lost",
        ),
        quick=False,
    ),
    Proof(
        module="egru_axil_registers",
        properties={
            "write_takes_both": "write address and write data are taken in the same cycle",
            "one_write_response": "every write gets exactly one response, and none comes without a write",
            "one_read_response": "every read address gets exactly one response, and none comes without a read",
            "stable_write_response": "BVALID and BRESP hold until BREADY",
            "stable_read_response": "RVALID, RRESP and RDATA hold until RREADY",
            "write_response": "OKAY for a mapped address, SLVERR otherwise and for a refused load",
            "read_response": "OKAY for a mapped address; SLVERR and zeros otherwise",
            "reads_in_time": "a read answers 4 cycles after its address, the low word of a counter block after 18",
            "interrupt": "the end of a sequence stays until it is cleared, and interrupts while enabled",
            "control_pulses": "soft reset and clear pulse once for each write that asks for them",
            "cycle_counter": "CYCLES is the count of busy cycles since the last clear, modulo 2^CounterBits",
            "step_counter": "STEPS is the count of finished steps since the last clear, modulo 2^CounterBits",
            "refused_loads": "exactly the accepted writes of LOAD_DATA reach the load bus",
            **_OWN,
        },
        depth=3,
        shapes=({"Weights": 2}, {"Weights": 0}, {"Blocks": 1, "CountersPerBlock": 16}),
        fault=Fault("egru_axil_registers", "end else if (s_axil_bready) begin", "end else begin", "stable_write_response"),
    ),
    Proof(
        module="egru_row_reader",
        properties={
            "every_sum_once_in_order": "a pass addresses each sum once, in order",
            "only_in_turn": "a row is begun in a turn only, after the lane has finished",
            "four_in_a_row": "the four sums of a row follow each other without a gap",
            "only_finished": "nothing is read before the lane has finished, but for emptying",
            "both_after_reset": "both banks are emptied, in exactly the first pass",
            "idle_when_over": "idle exactly when no pass is under way",
            "ends_in_time": "with a turn in one of 5 cycles a pass ends within 8 * rows cycles",
            **_OWN,
        },
        depth=3,
        shapes=({"Rows": 3}, {"Rows": 1}, {"Rows": 4}),
        fault=Fault("egru_row_reader", "assign take_o     = turn_i && summed_q", "assign take_o     = summed_q", "only_in_turn"),
    ),
    Proof(
        module="egru_step_sequencer",
        properties={
            "input_events_once": "any input event reaches the bus exactly once, with its column",
            "own_events_once_on_bus": "any own event reaches the bus exactly once, or not at all after the last step of a sequence",
            "own_events_once_on_output": "any own event reaches the output exactly once",
            "own_column": "with its column",
            "end_items": "one end item for each step",
            "step_per_input": "one step for each ended input",
            "input_token": "with the token and the mark that came with it",
            "no_overlap": "no step begins during an update",
            "output_per_step": "the output gets one end item for each step",
            "end_after_events": "after the last event of the step",
            "stable_output": _STABLE,
            "own_in_time": "with takers ready in one of 3 cycles an own event is gone within 3 cycles",
            **_OWN,
        },
        depth=4,
        fault=Fault(
            "egru_step_sequencer",
            "own_on_bus_q    <= (own_on_bus_q || own_bus_taken) && !own_ready_o;",
            "own_on_bus_q    <= 1'b0;",
            "own_events_once_on_bus",
        ),
    ),
    Proof(
        module="egru_readout",
        properties={
            "always_a_place": "logits under way and in the queue never exceed its 8 places",
            "as_many_as_owed": "no step sends more logits than there are classes",
            "marks_the_last": "the last logit of a step is marked, and no other; likewise that of a sequence",
            "done_when_taken": "the step is done exactly when all its logits are taken: none is lost",
            "stable_payload": _STABLE,
            "next_in_time": "the next logit is taken within 9 cycles and the sink's patience",
            **_OWN,
        },
        depth=3,
        shapes=({"Classes": 16, "Patience": 3}, {"Classes": 1}, {"Classes": 3, "Lanes": 1}),
        fault=Fault(
            "egru_readout", "reserved_q != QueueCount'(QueueDepth)", "count_unused != QueueCount'(QueueDepth)", "always_a_place", 30
        ),
        quick=False,
    ),
    Proof(
        module="egru_lane",
        properties={
            "no_overflow": "with egru_column_directory stopping the bus, no item ever comes to a full queue",
            "ends_reach_all": "an end item enters the queue of every lane",
            "busy_is_shown": "a lane that multiplies says that it works",
            **_OWN,
        },
        depth=4,
        shapes=({"QueueDepth": 6}, {"QueueDepth": 16}, {"QueueDepth": 6, "Group": 1}),
        fault=Fault(
            "egru_lane", "waiting >= QueueCount'(QueueDepth - Reserve)", "waiting > QueueCount'(QueueDepth - Reserve)", "no_overflow"
        ),
        silent=("egru_accumulator", "egru_column_walker"),
    ),
    Proof(
        module="egru_column_walker",
        properties={
            "operations_of_the_column": "an event becomes exactly as many operations as its column asks for",
            "entry_of_the_column": "those of its entries, in order",
            "value_goes_along": "each with the event's value",
            "ends_in_order": "an end item becomes one end, after all operations before it",
            "no_gap": "the next item is taken in the cycle of the last operation",
            "busy_until_gone": "busy exactly while something is inside",
            **_OWN,
        },
        depth=6,
        shapes=({"Group": 0}, {"Group": 1}),
        fault=Fault("egru_column_walker", "number_q <= CountBits'(1);", "number_q <= CountBits'(0);", "no_gap"),
    ),
    Proof(
        module="egru_answer",
        properties={
            "one_answer_per_step": "one answer for each `Classes` words",
            "largest": "no word of the step is larger",
            "is_the_class": "it is the word of the class named",
            "lowest_of_equals": "no lower class has it too",
            "class_exists": "the class named exists",
            "stable_answer": _STABLE,
            "thrown_away": "while no step is active every word is taken",
            "taken_in_time": "a word waits no more than 2 cycles and the taker's patience",
            **_OWN,
        },
        depth=4,
        shapes=({"Classes": 3}, {"Classes": 1}, {"Classes": 4}),
        fault=Fault("egru_answer", "$signed(word_q) > $signed(best_q)", "$signed(word_q) >= $signed(best_q)", "lowest_of_equals"),
    ),
    Proof(
        module="egru_uart_tx",
        properties={
            "frame_on_the_line": "start bit, eight bits and stop bit, each for exactly ClocksPerBit cycles; high in between",
            "one_at_a_time": "a byte is taken when the line is idle or in the stop bit's last cycle",
            **_OWN,
        },
        depth=3,
        shapes=({"ClocksPerBit": 3}, {"ClocksPerBit": 2}, {"ClocksPerBit": 16}),
        fault=Fault(
            "egru_uart_tx", "bit_over_q <= timer_q == TimerBits'(1);", "bit_over_q <= timer_q == TimerBits'(2);", "frame_on_the_line"
        ),
    ),
    Proof(
        module="egru_crc32",
        properties={
            "eight_cycles": "a byte keeps it busy for exactly 8 cycles",
            "crc_of_the_bytes": "byte and verdict are those of the polynomial division of all bytes since the last clear",
            **_OWN,
        },
        depth=2,
        fault=Fault("egru_crc32", "left_q <= 4'd8", "left_q <= 4'd7", "eight_cycles"),
        quick=False,
    ),
    Proof(
        module="egru_frame_sender",
        properties={
            "every_byte_once": "sync, header, sequence number, length, payload and CRC, each byte once and in this order",
            "payload_in_order": "the buffer's cursor stands at the byte that is sent",
            "done_at_the_end": "done with the last byte and not before",
            "crc_of_all_but_sync": "the CRC takes every byte but the sync, and moves on with each of its own",
            "stable_payload": _STABLE,
            "no_deadlock": "until then it waits for nothing but the line and the CRC",
            **_OWN,
        },
        depth=3,
        fault=Fault(
            "egru_frame_sender", "StHeader:   if (taken) state_d = StSequence;", "StHeader:   state_d = StSequence;", "every_byte_once", 8
        ),
        quick=False,
    ),
    Proof(
        module="egru_load_port",
        properties={
            "one_write_per_word": "one write for each last part, a cycle later",
            "parts_in_place": "address and parts are those of the bus, the last part on top",
        },
        depth=3,
        shapes=({"LoadBits": 96}, {"LoadBits": 32}),
        fault=Fault(
            "egru_load_port",
            "data_q  <= LoadBits'({bus_i[31:0], data_q} >> 32);",
            "data_q  <= LoadBits'({data_q, bus_i[31:0]});",
            "parts_in_place",
        ),
    ),
)
