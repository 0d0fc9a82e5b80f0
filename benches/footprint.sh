#!/bin/sh
# What meterd costs a small box, against its bounds: size of the binary, memory of the running daemon,
# time until the demo shows its first reading.
#
#   benches/footprint.sh            builds the dist profile and measures it
#   benches/footprint.sh BINARY     measures that binary
#
# Exit code: 0 within all bounds, 1 a bound is broken, 2 it could not be measured.
set -eu

MAX_SIZE_MB=12          # the binary, in 10^6 octets
MAX_RSS_MIB=20          # resident memory with 8 meters on 2 lines, after their first slots
MAX_FIRST_MS=3000       # from the start of the demo to its first reading

cd "$(dirname "$0")/.."
fail() { echo "footprint: $*" >&2; exit 2; }

if [ $# -gt 1 ]; then fail "usage: benches/footprint.sh [BINARY]"; fi
if [ $# -eq 1 ]; then
    binary=$1
else
    cargo build --profile dist --locked
    binary=${CARGO_TARGET_DIR:-target}/dist/meterd
fi
[ -x "$binary" ] || fail "$binary is not there or may not be run"
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac

folder=$(mktemp -d)
started=""
end() {
    for pid in $started; do kill "$pid" 2>/dev/null || true; done
    for pid in $started; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 2' HUP INT TERM

broken=0
# judge WHAT MEASURED BOUND UNIT, the numbers in thousandths of the unit
judge() {
    verdict=ok
    if [ "$2" -gt "$3" ]; then verdict="TOO MUCH"; broken=1; fi
    awk -v what="$1" -v is="$2" -v most="$3" -v unit="$4" -v verdict="$verdict" \
        'BEGIN { printf "%-34s %8.2f %-3s  bound %6.2f %-3s  %s\n", what, is / 1000, unit, most / 1000, unit, verdict }'
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# wait_for FILE PATTERN PID WHAT: until the line is in the file; 60 s at most
wait_for() {
    rounds=0
    until grep -q "$2" "$1" 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || { cat "$1" >&2; fail "$4: it has ended"; }
        rounds=$((rounds + 1))
        [ "$rounds" -lt 3000 ] || { cat "$1" >&2; fail "$4: nothing for 60 s"; }
        sleep 0.02
    done
}

# --- size
judge "size of the binary" $(($(wc -c <"$binary") / 1000)) $((MAX_SIZE_MB * 1000)) MB

# --- memory: two virtual lines of four meters, no broker, so that the store fills as well
lines=""
for line in 1 2; do
    "$binary" simulate --meters 4 --listen tcp://127.0.0.1:0 --start-address "${line}01" >"$folder/line$line" &
    started="$started $!"
    wait_for "$folder/line$line" '^READY ' $! "virtual line $line"
    lines="$lines $(sed -n 's/^READY //p' "$folder/line$line")"
done
{
    echo '[gateway]'
    echo 'id = "footprint"'
    echo 'timezone = "Asia/Shanghai"'
    echo "data_dir = \"$folder/store\""
    echo 'clock = "set"'
    echo '[mqtt]'
    echo 'url = "mqtt://127.0.0.1:9"'
    line=0
    for port in $lines; do
        line=$((line + 1))
        printf '[[bus]]\nname = "line-%s"\nport = "%s"\nbaud = 9600\n' "$line" "$port"
        for meter in 1 2 3 4; do
            printf '[[meter]]\nname = "meter-%s-%s"\nbus = "line-%s"\naddress = "%s0%s"\n' \
                "$line" "$meter" "$line" "$line" "$meter"
        done
    done
    echo '[[task]]'
    echo 'name = "live"'
    echo 'every = "5s"'
    echo 'registers = ["active_energy_import", "active_energy_import_t*", "voltage_l1", "current_l1", "active_power"]'
} >"$folder/meterd.toml"
"$binary" check --config "$folder/meterd.toml" >"$folder/plan" || fail "its own configuration is refused"
"$binary" run --config "$folder/meterd.toml" --log debug 2>"$folder/log" &
daemon=$!
started="$started $daemon"
wait_for "$folder/log" 'meterd runs' "$daemon" "the daemon"
# Three slots: its memory has been used by then, and what it keeps stays.
sleep 16
kill -0 "$daemon" 2>/dev/null || { cat "$folder/log" >&2; fail "the daemon has ended"; }
rss_kib=$(sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB$/\1/p' "/proc/$daemon/status")
[ -n "$rss_kib" ] || fail "/proc/$daemon/status has no VmRSS"
kill -TERM "$daemon"
wait "$daemon" || fail "the daemon ended with an error"
readings=$(sed 's/\x1b\[[0-9;]*m//g' "$folder/log" | sed -n 's/.*meterd has ended.*readings=\([0-9]*\).*/\1/p')
[ "${readings:-0}" -gt 0 ] || { cat "$folder/log" >&2; fail "nothing was read, so the memory says nothing"; }
judge "memory of the daemon, $readings readings" $((rss_kib * 1000 / 1024)) $((MAX_RSS_MIB * 1000)) MiB

# --- the demo's first reading
begin=$(now_ms)
"$binary" demo --lines --for 20s >"$folder/demo" 2>&1 &
demo=$!
started="$started $demo"
wait_for "$folder/demo" 'active_energy_import' "$demo" "the demo"
judge "first reading of the demo" $(($(now_ms) - begin)) "$MAX_FIRST_MS" s

exit "$broken"
