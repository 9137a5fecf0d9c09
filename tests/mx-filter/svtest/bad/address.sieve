if address "subject" "x" { keep; } redirect "a b c"; redirect "@x.example";
