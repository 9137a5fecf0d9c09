require ["ihave"]; if not ihave "x-none" { error "needs x-none"; }
