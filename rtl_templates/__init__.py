"""SystemVerilog: hand-written modules in `lib/`, templates of the generated wiring beside it. Data; nothing to import."""
