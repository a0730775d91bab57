#!/usr/bin/env bash
# Fuzzes every target from its corpus: fuzz.sh [seconds each, 60 unless told] [target]. Needs clang 19.
# What is new stays in .cmake/fuzz/corpus; an input that breaks something goes to .cmake/fuzz/<target>-*, and its mended form
# into native/fuzz/corpus, where every build replays it.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
only=${2:-}

targets=()
for source in native/fuzz/*_fuzz.cc; do
  name=$(basename "$source" .cc)
  if [ -z "$only" ] || [ "$only" = "$name" ]; then targets+=("$name"); fi
done
if [ ${#targets[@]} -eq 0 ]; then
  echo "unknown target '$only'; known are: $(basename -s .cc native/fuzz/*_fuzz.cc | xargs)" >&2
  exit 2
fi
unset CXX # the preset names the compiler
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]}" -- -j2 >/dev/null
status=0
for name in "${targets[@]}"; do
  mkdir -p ".cmake/fuzz/corpus/$name"
  echo "$name: $seconds s"
  dictionary=()
  if [ -f "native/fuzz/$name.dict" ]; then dictionary=(-dict="native/fuzz/$name.dict"); fi
  .cmake/fuzz/build/"$name" -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0 \
    "${dictionary[@]}" -artifact_prefix=".cmake/fuzz/$name-" ".cmake/fuzz/corpus/$name" "native/fuzz/corpus/$name" || status=1
done
exit $status
