# The rules of the house: includes point downward, a program knows common/ and
# itself, no raw strtol or sprintf, names find their owners.
load ../lib/common
setup() { common_setup; }
teardown() { common_teardown; }

@test "layers, includes, functions that are not used, names that find their owners" {
  run python3 "$ROOT/tests/repo/house.py" "$ROOT" "$MX_BUILD/libmx.a"
  [ "$output" = "" ]
  [ "$status" -eq 0 ]
}

@test "each rule bites" {
  mkdir -p "$T/common" "$T/cmd/a" "$T/cmd/b"
  printf '/*\n * low.h - x.\n * Layer: base.\n */\n' > "$T/common/low.h"
  printf '/*\n * high.h - x.\n * Layer: mail.\n */\n' > "$T/common/high.h"
  printf '/*\n * low.c - x.\n * Layer: base.\n */\n#include "high.h"\n' > "$T/common/low.c"
  printf '/*\n * none.c - atoi(x) in words.\n */\n#include "gone.h"\n' > "$T/common/none.c"
  printf 'int own;\n' > "$T/cmd/a/own.h"
  printf '#include "own.h"\nint f(void) { return atoi("atol(1)"); }\n' > "$T/cmd/b/main.c"
  run python3 "$ROOT/tests/repo/house.py" "$T"
  [ "$status" -eq 1 ]
  [ "$output" = "common/none.c: no layer in its head
common/low.c: high.h belongs to a higher layer
common/none.c: gone.h is not of common/
cmd/b/main.c: own.h is neither of its folder nor of common/
cmd/b/main.c: atoi() is not used here" ]
}
