frob; if header "x" { keep; } redirect "no address";
