#!/usr/bin/env bash
# Runs ucx_loop and ucx-pair in turns (A B A B ...), in a network namespace with cubic, and prints the ratios of medians.
# Needs root for the namespace and for the priority. ucx-ratios.sh [turns] ["<block> <blocks> <rounds>;..."]
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-5}
sizes=${2:-"32768 4096 20;32768 64 300;4096 32768 12;4096 40960 12;4096 1 5000"}
out=$(mktemp -d)
netns=kvseam-bench-$$
# A namespace may only choose what its machine allows to everybody, so cubic is allowed while this runs.
allowed=$(sysctl -n net.ipv4.tcp_allowed_congestion_control)
cleanup() {
  ip netns del "$netns" 2>/dev/null || true
  sysctl -qw net.ipv4.tcp_allowed_congestion_control="$allowed"
  rm -rf "$out"
}
trap cleanup EXIT
read -ra flags <<<"$(pkg-config --cflags --libs ucx)"
cc -O2 -o "$out/loop" bench/native/ucx_loop.c "${flags[@]}"
[[ " $allowed " == *" cubic "* ]] || sysctl -qw net.ipv4.tcp_allowed_congestion_control="$allowed cubic"
ip netns add "$netns"
ip netns exec "$netns" ip link set lo up
ip netns exec "$netns" sysctl -qw net.ipv4.tcp_congestion_control=cubic
# The settings that the backend's loader makes where they are unset, so that both sides have them.
export UCX_TCP_TX_SEG_SIZE=64k UCX_TCP_RX_SEG_SIZE=64k UCX_POSIX_ERROR_HANDLING=y UCX_MEM_MMAP_HOOK_MODE=none UCX_WARN_UNUSED_ENV_VARS=n
alone() { setsid -w sh -c 'echo -20 > /proc/self/autogroup 2>/dev/null || true; exec "$@"' sh ip netns exec "$netns" timeout 120 "$@"; }
IFS=";"
for size in $sizes; do
  IFS=" " read -r block blocks rounds <<<"$size"
  for ((turn = 0; turn < turns; turn++)); do
    for op in put get am; do alone "$out/loop" tcp lo $op "$block" "$blocks" "$rounds"; done
    for mode in push pull; do alone node --import tsx bench/native/ucx-pair.ts tcp/lo $mode "$block" "$blocks" "$rounds"; done
    for op in put get; do alone "$out/loop" posix,cma all $op "$block" "$blocks" "$rounds"; done
    for mode in push pull; do alone node --import tsx bench/native/ucx-pair.ts shm $mode "$block" "$blocks" "$rounds"; done
    [ "$blocks" != 1 ] || {
      for device in tcp/lo shm; do alone node --import tsx bench/native/ucx-pair.ts "$device" pull "$block" 1 300 busy; done
      alone "$out/loop" tcp lo get "$block" 1 300 64 2000
      alone "$out/loop" posix,cma all get "$block" 1 300 64 2000
    }
  done
done >"$out/runs"
node bench/native/ucx-ratios.mjs "$out/runs"
