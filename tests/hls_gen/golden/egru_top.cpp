// Generated wiring of model 40be8b3f7123; the algorithms are in lib/. Every function but the last one is a process that knows the others
// by its streams only: Vitis HLS runs them side by side in the dataflow region of egru_top, Bambu makes a module of each.
#include "egru_top.hpp"

#include "egru_model.hpp"
#include "lib/lane.hpp"
#include "lib/readout.hpp"
#include "lib/sequencer.hpp"
#include "lib/update.hpp"

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=own
#pragma HLS interface mode=axis port=input
#pragma HLS interface mode=axis port=queue0
#pragma HLS interface mode=axis port=queue1
#pragma HLS interface mode=axis port=steps0
extern "C"
#endif
void layer0_sequencer(egru::stream<13>& own, egru::stream<13>& input, egru::stream<15>& queue0, egru::stream<15>& queue1, egru::stream<4>& steps0) {
  egru::send(egru::sequencer<egru::layer0, egru::layer0_lane0, egru::layer0_lane1>::run(own, input, queue0, queue1), steps0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=queue
#pragma HLS interface mode=axis port=sums
extern "C"
#endif
void layer0_lane0(egru::stream<15>& queue, egru::stream<16>& sums) {
  egru::walk_columns<egru::layer0, egru::layer0_lane0>(queue, sums);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=queue
#pragma HLS interface mode=axis port=sums
extern "C"
#endif
void layer0_lane1(egru::stream<15>& queue, egru::stream<16>& sums) {
  egru::walk_columns<egru::layer0, egru::layer0_lane1>(queue, sums);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=steps
#pragma HLS interface mode=axis port=events
#pragma HLS interface mode=axis port=sums0
#pragma HLS interface mode=axis port=sums1
extern "C"
#endif
void layer0_unit0(egru::stream<4>& steps, egru::stream<13>& events, egru::stream<16>& sums0, egru::stream<16>& sums1) {
  egru::update_rows<egru::layer0_unit0>(steps, events, sums0, sums1);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=own
#pragma HLS interface mode=axis port=next
#pragma HLS interface mode=axis port=outside
#pragma HLS interface mode=axis port=unit0
extern "C"
#endif
void layer0_merge(egru::stream<13>& own, egru::stream<13>& next, egru::output<32>& outside, egru::stream<13>& unit0) {
  egru::merge_events<egru::layer0>(own, next, outside, unit0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=own
#pragma HLS interface mode=axis port=input
#pragma HLS interface mode=axis port=queue0
#pragma HLS interface mode=axis port=steps0
extern "C"
#endif
void layer1_sequencer(egru::stream<13>& own, egru::stream<13>& input, egru::stream<16>& queue0, egru::stream<3>& steps0) {
  egru::send(egru::sequencer<egru::layer1, egru::layer1_lane0>::run(own, input, queue0), steps0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=queue
#pragma HLS interface mode=axis port=sums
extern "C"
#endif
void layer1_lane0(egru::stream<16>& queue, egru::stream<17>& sums) {
  egru::walk_columns<egru::layer1, egru::layer1_lane0>(queue, sums);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=steps
#pragma HLS interface mode=axis port=events
#pragma HLS interface mode=axis port=sums0
extern "C"
#endif
void layer1_unit0(egru::stream<3>& steps, egru::stream<13>& events, egru::stream<17>& sums0) {
  egru::update_rows<egru::layer1_unit0>(steps, events, sums0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=own
#pragma HLS interface mode=axis port=next
#pragma HLS interface mode=axis port=outside
#pragma HLS interface mode=axis port=unit0
extern "C"
#endif
void layer1_merge(egru::stream<13>& own, egru::stream<13>& next, egru::output<32>& outside, egru::stream<13>& unit0) {
  egru::merge_events<egru::layer1>(own, next, outside, unit0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=input
#pragma HLS interface mode=axis port=queue0
#pragma HLS interface mode=axis port=steps0
extern "C"
#endif
void decoder_sequencer(egru::stream<13>& input, egru::stream<12>& queue0, egru::stream<3>& steps0) {
  egru::send(egru::sequencer<egru::decoder, egru::decoder_lane0>::run_without_own(input, queue0), steps0);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=queue
#pragma HLS interface mode=axis port=sums
extern "C"
#endif
void decoder_lane0(egru::stream<12>& queue, egru::stream<16>& sums) {
  egru::walk_columns<egru::decoder, egru::decoder_lane0>(queue, sums);
}

#ifdef __BAMBU__
#pragma HLS interface mode=axis port=steps
#pragma HLS interface mode=axis port=logits
#pragma HLS interface mode=axis port=sums0
extern "C"
#endif
void decoder_readout(egru::stream<3>& steps, egru::output<32>& logits, egru::stream<16>& sums0) {
  egru::read_out<egru::decoder>(steps, logits, sums0);
}

#ifndef __BAMBU__
void egru_top(hls::stream<egru::beat<16>>& s_axis, egru::output<32>& m_axis,
              egru::output<32>& layer0_events,
              egru::output<32>& layer1_events,
              ap_uint<32>& token_errors, ap_uint<64>& model_hash) {
  EGRU_PRAGMA(HLS interface mode = axis port = s_axis)
  EGRU_PRAGMA(HLS interface mode = axis port = m_axis)
  EGRU_PRAGMA(HLS interface mode = axis port = layer0_events)
  EGRU_PRAGMA(HLS interface mode = axis port = layer1_events)
  EGRU_PRAGMA(HLS interface mode = s_axilite port = token_errors)
  EGRU_PRAGMA(HLS interface mode = s_axilite port = model_hash)
  EGRU_PRAGMA(HLS interface mode = s_axilite port = return)
  EGRU_PRAGMA(HLS dataflow)
  // Static, because own events wait in their stream from one step to the next.
  static egru::stream<13> inputs;
  EGRU_PRAGMA(HLS stream variable = inputs depth = 2)
  static egru::stream<13> layer0_own;
  EGRU_PRAGMA(HLS stream variable = layer0_own depth = 5)
  static egru::stream<13> layer0_forward;
  EGRU_PRAGMA(HLS stream variable = layer0_forward depth = 8)
  static egru::stream<4> layer0_unit0_steps;
  EGRU_PRAGMA(HLS stream variable = layer0_unit0_steps depth = 2)
  static egru::stream<15> layer0_lane0_queue;
  EGRU_PRAGMA(HLS stream variable = layer0_lane0_queue depth = 16)
  static egru::stream<15> layer0_lane1_queue;
  EGRU_PRAGMA(HLS stream variable = layer0_lane1_queue depth = 16)
  static egru::stream<16> layer0_lane0_sums;
  EGRU_PRAGMA(HLS stream variable = layer0_lane0_sums depth = 8)
  static egru::stream<16> layer0_lane1_sums;
  EGRU_PRAGMA(HLS stream variable = layer0_lane1_sums depth = 8)
  static egru::stream<13> layer0_unit0_events;
  EGRU_PRAGMA(HLS stream variable = layer0_unit0_events depth = 32)
  static egru::stream<13> layer1_own;
  EGRU_PRAGMA(HLS stream variable = layer1_own depth = 4)
  static egru::stream<13> layer1_forward;
  EGRU_PRAGMA(HLS stream variable = layer1_forward depth = 8)
  static egru::stream<3> layer1_unit0_steps;
  EGRU_PRAGMA(HLS stream variable = layer1_unit0_steps depth = 2)
  static egru::stream<16> layer1_lane0_queue;
  EGRU_PRAGMA(HLS stream variable = layer1_lane0_queue depth = 16)
  static egru::stream<17> layer1_lane0_sums;
  EGRU_PRAGMA(HLS stream variable = layer1_lane0_sums depth = 12)
  static egru::stream<13> layer1_unit0_events;
  EGRU_PRAGMA(HLS stream variable = layer1_unit0_events depth = 32)
  static egru::stream<3> decoder_steps;
  EGRU_PRAGMA(HLS stream variable = decoder_steps depth = 2)
  static egru::stream<12> decoder_lane0_queue;
  EGRU_PRAGMA(HLS stream variable = decoder_lane0_queue depth = 16)
  static egru::stream<16> decoder_lane0_sums;
  EGRU_PRAGMA(HLS stream variable = decoder_lane0_sums depth = 3)
  egru::accept_token<egru::model>(s_axis, inputs, token_errors, model_hash);
  layer0_sequencer(layer0_own, inputs, layer0_lane0_queue, layer0_lane1_queue, layer0_unit0_steps);
  layer0_lane0(layer0_lane0_queue, layer0_lane0_sums);
  layer0_lane1(layer0_lane1_queue, layer0_lane1_sums);
  layer0_unit0(layer0_unit0_steps, layer0_unit0_events, layer0_lane0_sums, layer0_lane1_sums);
  layer0_merge(layer0_own, layer0_forward, layer0_events, layer0_unit0_events);
  layer1_sequencer(layer1_own, layer0_forward, layer1_lane0_queue, layer1_unit0_steps);
  layer1_lane0(layer1_lane0_queue, layer1_lane0_sums);
  layer1_unit0(layer1_unit0_steps, layer1_unit0_events, layer1_lane0_sums);
  layer1_merge(layer1_own, layer1_forward, layer1_events, layer1_unit0_events);
  decoder_sequencer(layer1_forward, decoder_lane0_queue, decoder_steps);
  decoder_lane0(decoder_lane0_queue, decoder_lane0_sums);
  decoder_readout(decoder_steps, m_axis, decoder_lane0_sums);
}
#endif
