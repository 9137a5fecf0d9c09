if keep { keep; } true; if true { header "a" "b"; }
