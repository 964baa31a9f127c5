# EGRU core in HLS C++, 2 layer(s), model 40be8b3f7123: C simulation, synthesis, co-simulation and IP with Vitis HLS 2023.2 or later.
#   vitis_hls -f scripts/build.tcl -tclargs csim csynth export part=xc7z020clg400-1 clock_mhz=125
#   STAGES="csim csynth export" PART=xc7z020clg400-1 CLOCK_MHZ=125 vitis-run --mode hls --tcl scripts/build.tcl
# Stages: csim csynth cosim export; always in this order. Everything is written under build/ of the generated folder.

set root   [file dirname [file dirname [file normalize [info script]]]]
set output [file join $root build]
set stages [list csim csynth cosim export]
array set settings [list stages {csim csynth export} part xc7z020clg400-1 clock_mhz 125]

set sources [list \
  hls/egru_top.cpp \
]
# Found through the sources; listed so that a missing one is named.
set headers [list \
  hls/egru_model.hpp \
  hls/egru_tables.hpp \
  hls/egru_top.hpp \
  hls/lib/axis.hpp \
  hls/lib/checked_stream.hpp \
  hls/lib/fixed_point.hpp \
  hls/lib/items.hpp \
  hls/lib/lane.hpp \
  hls/lib/pragmas.hpp \
  hls/lib/readout.hpp \
  hls/lib/sequencer.hpp \
  hls/lib/update.hpp \
]
# The testbench comes first; Vitis HLS copies the others into the folder in which it runs.
set testbench [list \
  tb/egru_tb.cpp \
  tb/tokens.mem \
  tb/events.mem \
  tb/logits.mem \
]

# Environment variables first, then the command line. Vitis HLS may hand its whole command line to a script: what stands after -tclargs is
# meant for this one; without that word only what this one knows.
proc read_settings {} {
  global settings stages argv env
  foreach name {stages part clock_mhz} {
    set variable [string toupper $name]
    if {[info exists env($variable)] && $env($variable) ne ""} { set settings($name) $env($variable) }
  }
  set place [lsearch -exact $argv -tclargs]
  set chosen [list]
  foreach word [lrange $argv [expr {$place + 1}] end] {
    if {[regexp {^(part|clock_mhz)=(.+)$} $word -> name value]} {
      set settings($name) $value
    } elseif {[lsearch -exact $stages $word] >= 0} {
      lappend chosen $word
    } elseif {$place >= 0} {
      error "argument $word is not known; give stages ($stages), part=... or clock_mhz=..."
    }
  }
  if {[llength $chosen]} { set settings(stages) $chosen }
  foreach word $settings(stages) {
    if {[lsearch -exact $stages $word] < 0} { error "stage $word is not known; the stages are $stages" }
  }
  if {![string is double -strict $settings(clock_mhz)] || $settings(clock_mhz) <= 0} {
    error "clock_mhz=$settings(clock_mhz) is no clock; give e.g. 125"
  }
}

proc wanted {stage} {
  global settings
  return [expr {[lsearch -exact $settings(stages) $stage] >= 0}]
}

proc build {} {
  global root output settings sources headers testbench
  read_settings
  foreach file [concat $sources $headers $testbench] {
    if {![file readable [file join $root $file]]} { error "$file is missing or cannot be read; generate the folder again" }
  }
  if {[regexp {\s} $root]} { error "the path $root has a blank in it, which compiler options cannot carry; move the folder" }
  file mkdir $output
  cd $output
  # Without a new synthesis, what co-simulation and export need is kept.
  set reset [expr {[wanted csynth] ? "-reset" : ""}]
  open_project {*}$reset egru
  set_top egru_top
  set flags "-std=c++17 -I[file join $root hls]"
  foreach file $sources { add_files [file join $root $file] -cflags $flags }
  foreach file $testbench { add_files -tb [file join $root $file] -cflags $flags }
  open_solution {*}$reset solution1 -flow_target vivado
  set_part $settings(part)
  create_clock -period [format %.3f [expr {1000.0 / $settings(clock_mhz)}]] -name default
  # State machines and handshakes are reset; of the rest what a RESET pragma names. A reset may come in the middle of a step.
  config_rtl -reset control -reset_level low
  if {[wanted csim]} { csim_design }
  if {[wanted csynth]} { csynth_design }
  if {[wanted cosim]} { cosim_design -rtl verilog }
  if {[wanted export]} {
    export_design -rtl verilog -format ip_catalog -output [file join $output egru_ip.zip] \
      -vendor egru-fpga -library user -version 1.0 -display_name {Event-based GRU accelerator}
  }
  puts "done: $settings(stages) for $settings(part) at $settings(clock_mhz) MHz; synthesis reports to build/egru/solution1/syn/report/csynth.xml"
}

# Some versions end with exit code 0 after an error of a script.
if {[catch {build} message]} {
  puts stderr "ERROR: $message"
  exit 1
}
exit 0
