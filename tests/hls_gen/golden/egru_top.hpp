// The top function: 2 layer(s), 3 tokens, 3 classes, 4 lanes. One call is one time step.
//
// s_axis: a token; TLAST on the last one of a sequence, after which the state is zero again.
// m_axis: 3 logits in class order, sign-extended, 14 fraction bits; TLAST on the last logit of a sequence.
// layerN_events: {index, value} of each event, 16 bits each, index as in hardware.json; a beat with TLAST, which is no event, ends each step.
// Hold TREADY high where nobody looks.
// token_errors: tokens out of range so far (each taken as token 0). model_hash: the last 64 bits of the artifact's hash.
#ifndef EGRU_TOP_HPP
#define EGRU_TOP_HPP

#include "lib/axis.hpp"

void egru_top(hls::stream<egru::beat<16>>& s_axis, egru::output<32>& m_axis,
              egru::output<32>& layer0_events,
              egru::output<32>& layer1_events,
              ap_uint<32>& token_errors, ap_uint<64>& model_hash);

#endif
