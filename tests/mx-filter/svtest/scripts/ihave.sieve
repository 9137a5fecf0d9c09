require ["ihave", "fileinto"];
if not ihave ["variables"] { keep; } else { error "variables change the grammar"; }
if ihave "encoded-character" { error "so does encoded-character"; }
if allof (ihave "nonsense", nonsense "x") { nonsense "y"; }
if ihave "copy" { fileinto :copy "x"; }
fileinto :copy "y";
