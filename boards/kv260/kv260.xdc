# The design has no pins of its own: the processor's are fixed, and the core hangs on the processor.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
