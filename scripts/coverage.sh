#!/usr/bin/env bash
# Lines of TypeScript and of C++ that the tests reach: vitest drives both, ctest adds the native tests.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v gcovr >/dev/null || {
  echo "gcovr is not installed (Debian, Ubuntu: apt-get install gcovr)" >&2
  exit 1
}

cmake --preset cov >/dev/null
cmake --build --preset cov -- -j2
find .cmake/cov/build -name '*.gcda' -delete
KVSEAM_TEST_ONE_PROCESS=1 KVSEAM_PREBUILD=$PWD/.cmake/cov node node_modules/vitest/vitest.mjs run \
  --coverage --coverage.include='src/**' --coverage.reportsDirectory=coverage/ts
ctest --preset cov
mkdir -p coverage/cpp
# Branches that only an exception from the standard library takes are not ours to reach.
gcovr --root . --filter native/core/ --filter native/backends/ --filter native/addon/ --exclude-throw-branches \
  --html-details coverage/cpp/index.html --txt .cmake/cov/build
