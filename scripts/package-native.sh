#!/usr/bin/env bash
# Builds what the package ships into prebuilds/ and leaves the checkout with a build of its own, as it was.
set -euo pipefail
cd "$(dirname "$0")/.."
rm -rf prebuilds # prebuildify adds to what is there
# --tag-libc: on a musl system the loader then finds no build, instead of one that it cannot open.
npm_config_nodedir=$PWD/native/node-api JOBS=${JOBS:-max} node_modules/.bin/prebuildify --strip --tag-libc --quiet
# prebuildify moves the addon out of build/Release; its object files are still there, so this only links.
node scripts/build-native.mjs
