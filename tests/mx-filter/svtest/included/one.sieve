require ["include", "variables", "fileinto"];
global ["seen"];
set "own" "mine";
set "seen" "${seen}1";
if string "${own2}" "outer" { set "seen" "leaked"; }
return;
set "seen" "${seen}never";
