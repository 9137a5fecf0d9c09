keep { stop; } if true; if { keep; } if true, false { keep; }
