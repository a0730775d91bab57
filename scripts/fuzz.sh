#!/usr/bin/env bash
# Fuzzes every target from its corpus: fuzz.sh [seconds each, 60 unless told] [target]. Needs clang 19.
# What is new stays in .cmake/fuzz/corpus; an input that breaks something goes to .cmake/fuzz/<target>-*, and its mended form
# into native/fuzz/corpus, where every build replays it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
only=${2:-}

unset CXX # the preset names the compiler
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- -j2 >/dev/null
status=0
for source in native/fuzz/*_fuzz.cc; do
  name=$(basename "$source" .cc)
  [ -z "$only" ] || [ "$only" = "$name" ] || continue
  mkdir -p ".cmake/fuzz/corpus/$name"
  echo "$name: $seconds s"
  .cmake/fuzz/build/"$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix=".cmake/fuzz/$name-" ".cmake/fuzz/corpus/$name" "native/fuzz/corpus/$name" || status=1
done
exit $status
