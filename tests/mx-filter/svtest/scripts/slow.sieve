require ["regex","variables"]; set "a" "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"; if string :regex "${a}b" "^(a+)+$" { keep; }
