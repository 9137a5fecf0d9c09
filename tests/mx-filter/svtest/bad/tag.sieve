if header :frop "subject" "x" { keep :frop; } if header :frop "a" "b" { keep; }
