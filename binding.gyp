# The build that ships: `npm run build:native`, `npm run package:native` and `kvseam rebuild` run node-gyp on this file.
# Sources and flags stand in native/sources.gypi, which CMakeLists.txt reads too.
#
# A backend that needs a transport library becomes a shared object of its own, kvseam_<name>.so beside kvseam.node, so that
# the .node links no transport. It has a list kvseam_<name>_sources in native/sources.gypi and here, under "conditions", a target of
#   "type": "shared_library", "product_prefix": "", "product_extension": "so"
# that exists only where `pkg-config --exists <name>` succeeds (prebuildify copies every *.so of build/Release by itself).
{
  "includes": ["native/sources.gypi"],
  "target_defaults": {
    "defines": ["<@(kvseam_defines)"],
    "include_dirs": ["<@(kvseam_include)"],
    "cflags_cc": ["-std=c++<(kvseam_cxx_standard)", "<@(kvseam_cflags)"],
    "configurations": {"Release": {"cflags_cc": ["<@(kvseam_release_cflags)"]}},
    "ldflags": ["<@(kvseam_ldflags)"],
  },
  "targets": [
    {
      "target_name": "kvseam",
      "sources": ["<@(kvseam_core_sources)", "<@(kvseam_mock_sources)", "<@(kvseam_addon_sources)"],
      # -isystem: napi.h does not pass our own warnings.
      "cflags_cc": [
        "-isystem<!(node -p \"require('node-api-headers').include_dir\")",
        "-isystem<!(node -p \"path.resolve(require('node-addon-api').include_dir)\")",
      ],
      "libraries": ["<@(kvseam_libraries)"],
    },
  ],
  # Where the headers are missing the backend is left out; scripts/build-native.mjs says so.
  "variables": {"kvseam_with_ucx": "<!(pkg-config --exists 'ucx >= 1.13' && echo 1 || echo 0)"},
  "conditions": [
    ["kvseam_with_ucx==1", {
      "targets": [
        {
          "target_name": "kvseam_ucx",
          "type": "shared_library",
          "product_prefix": "",
          "product_extension": "so",
          "sources": ["<@(kvseam_ucx_sources)"],
          "cflags_cc": ["<!@(pkg-config --cflags ucx)"],
          "libraries": ["<!@(pkg-config --libs-only-L ucx)", "-lucp", "-lucs"],
        },
      ],
    }],
  ],
}
