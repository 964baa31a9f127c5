"""How a QuantizedModel becomes hardware: lanes, packed columns, memory images, rendered sources. Reads the artifact only, never torch."""
