# Pins of the Arty A7-100T (revisions D and E) that egru_board uses; sites as in Digilent's reference manual.
set_property -dict {PACKAGE_PIN E3  IOSTANDARD LVCMOS33} [get_ports {clk100mhz}]
create_clock -name clk100mhz -period 10.000 [get_ports {clk100mhz}]

# USB serial port. The names are the FPGA's view; the schematic's are the USB chip's.
set_property -dict {PACKAGE_PIN A9  IOSTANDARD LVCMOS33} [get_ports {uart_rx}]
set_property -dict {PACKAGE_PIN D10 IOSTANDARD LVCMOS33} [get_ports {uart_tx}]

# The red button RESET, pressed = low
set_property -dict {PACKAGE_PIN C2  IOSTANDARD LVCMOS33} [get_ports {resetn}]

# LD4 to LD7
set_property -dict {PACKAGE_PIN H5  IOSTANDARD LVCMOS33} [get_ports {led[0]}]
set_property -dict {PACKAGE_PIN J5  IOSTANDARD LVCMOS33} [get_ports {led[1]}]
set_property -dict {PACKAGE_PIN T9  IOSTANDARD LVCMOS33} [get_ports {led[2]}]
set_property -dict {PACKAGE_PIN T10 IOSTANDARD LVCMOS33} [get_ports {led[3]}]

# None of these has a phase to the core's clock: the receiver and the reset are synchronised inside.
set_false_path -from [get_ports {uart_rx resetn}]
set_false_path -to [get_ports {uart_tx led[*]}]

# Bank voltage, and a bitstream that loads fast from the board's four-wire flash.
set_property CFGBVS VCCO [current_design]
set_property CONFIG_VOLTAGE 3.3 [current_design]
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
set_property BITSTREAM.CONFIG.CONFIGRATE 33 [current_design]
set_property BITSTREAM.CONFIG.SPI_BUSWIDTH 4 [current_design]
