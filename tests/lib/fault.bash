# Words for tests that break something:  load ../lib/fault
# fault CALLS:N:ACTION PATH COMMAND...: runs it with tests/lib/shim_fault.c
# (see there) on files whose path has PATH in it ("" for all); the count is
# shared by all its processes and starts at 0.
fault() {
  local spec=$1 path=$2; shift 2
  rm -f "$T/fault.state"
  # whoever the programs become writes it, too
  : > "$T/fault.state"; chmod 666 "$T/fault.state"
  LD_PRELOAD="$MX_BUILD/lib/shim_fault.so${LD_PRELOAD:+:$LD_PRELOAD}" \
    MX_FAULT=$spec MX_FAULT_PATH=$path MX_FAULT_STATE=$T/fault.state "$@"
}

# fault_count: how many calls matched so far; fault_struck: how many it hit
fault_count() { od -An -t u8 -N 8 "$T/fault.state" | tr -d ' '; }
fault_struck() { od -An -t u8 -j 8 -N 8 "$T/fault.state" | tr -d ' '; }
