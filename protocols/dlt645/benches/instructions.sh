#!/bin/sh
# How many instructions one energy reply takes from its octets to its decimal value, all checks included.
#
# callgrind counts N and 2N repetitions of it: the difference is free of start and end of the program. Fails above the
# limit. Wants valgrind.
#
#   protocols/dlt645/benches/instructions.sh [LIMIT]
set -eu

limit=${1:-450}
repetitions=2000
cd "$(dirname "$0")/../../.."

bench=$(cargo bench -q -p dlt645 --bench energy --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*energy[^"]*\)".*/\1/p' | tail -n 1)
[ -x "$bench" ] || { echo "instructions.sh: the bench was not built" >&2; exit 2; }

count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" repeat "$1" 2>&1 |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

once=$(count "$repetitions")
twice=$(count $((2 * repetitions)))
[ -n "$once" ] && [ -n "$twice" ] || { echo "instructions.sh: valgrind counted nothing" >&2; exit 2; }
each=$(((twice - once) / repetitions))
[ "$each" -gt 0 ] || { echo "instructions.sh: $each instructions cannot be" >&2; exit 2; }

echo "energy reply to decimal with all checks: $each instructions (at most $limit)"
[ "$each" -le "$limit" ]
