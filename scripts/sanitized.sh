#!/usr/bin/env bash
# Runs the native tests and then vitest with core and addon built under a sanitizer: sanitized.sh asan|tsan [vitest options].
set -euo pipefail
cd "$(dirname "$0")/.."
preset=${1:?usage: scripts/sanitized.sh asan|tsan [vitest options]}
shift

# node itself is not instrumented, so the sanitizer's runtime has to be in the process before the addon is.
case $preset in
  asan)
    runtime=libasan.so
    export LSAN_OPTIONS="suppressions=$PWD/native/lsan.supp:print_suppressions=0"
    export UBSAN_OPTIONS=print_stacktrace=1
    ;;
  tsan)
    runtime=libtsan.so
    # What node and V8 do among themselves is not seen, so it looks like races; ours is instrumented and still reported.
    node_options="ignore_noninstrumented_modules=1"
    export TSAN_OPTIONS="suppressions=$PWD/native/tsan.supp"
    ;;
  *)
    echo "unknown sanitizer '$preset': asan or tsan" >&2
    exit 2
    ;;
esac

# The thread sanitizer's shadow memory has fixed places; kernels that randomise more than 30 bits put libraries there.
fixed=()
if [ "$preset" = tsan ] && [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 30 ]; then
  fixed=(setarch "$(uname -m)" -R)
fi

cmake --preset "$preset" >/dev/null
cmake --build --preset "$preset" -- -j2
status=0
"${fixed[@]}" ctest --preset "$preset" || status=$?

# `node vitest.mjs`, not npx, which would run npm under the sanitizer.
export KVSEAM_PREBUILD=$PWD/.cmake/$preset
if [ "$preset" = tsan ]; then export TSAN_OPTIONS="$TSAN_OPTIONS:$node_options"; fi
# The command line's tests start compilers, shells and terminals, which inherit the preload: g++ leaks on purpose, dash does
# not start under tsan. Nothing in them is native. The same holds for the benchmarks that start programs. CXX may be a launcher
# and a compiler, so it is not quoted.
foreign=(--exclude 'test/cli/**' --exclude 'test/bench/**')
# And what never loads the addon has nothing to show here.
for folder in policy simulate replay record trace kv config doctor; do foreign+=(--exclude "test/$folder/**"); done
foreign+=(--exclude 'test/property/policy.test.ts')
# Starts a process for each way to set a flag, to see what JavaScript says of it; the rules themselves are seen elsewhere.
foreign+=(--exclude 'test/faults/environment.test.ts')
# The rest of the backend is seen by its native tests; what is above it does not care which one it is.
foreign+=(--project mock)
# Starts ip, tc and nft, which inherit the preload too.
foreign+=(--exclude 'test/ucx/networks.test.ts')
export KVSEAM_TEST_ONE_PROCESS=1
LD_PRELOAD=$(${CXX:-g++} -print-file-name=$runtime) \
  "${fixed[@]}" node node_modules/vitest/vitest.mjs run "${foreign[@]}" "$@" || status=$?
exit $status
