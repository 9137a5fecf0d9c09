require "editheader"; addheader "X Y" "v"; addheader "X" "a"; deleteheader :last "X"; deleteheader "X:";
