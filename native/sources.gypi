{
  "variables": {
    "kvseam_core_sources": [
      "native/core/agent.cc",
      "native/core/descriptors.cc",
      "native/core/digest.cc",
      "native/core/metadata.cc",
      "native/core/permit.cc",
      "native/core/progress.cc",
      "native/core/region.cc",
      "native/core/registry.cc",
      "native/core/status.cc"
    ],
    "kvseam_mock_sources": [
      "native/backends/mock/mock_backend.cc",
      "native/backends/mock/mock_engine.cc",
      "native/backends/mock/mock_link.cc",
      "native/backends/mock/mock_memory.cc"
    ],
    "kvseam_addon_sources": [
      "native/addon/addon.cc",
      "native/addon/agent_functions.cc",
      "native/addon/completion_port.cc",
      "native/addon/descriptor_functions.cc",
      "native/addon/errors.cc",
      "native/addon/gate_functions.cc",
      "native/addon/instance.cc",
      "native/addon/measure_functions.cc",
      "native/addon/memory_functions.cc",
      "native/addon/transfer_functions.cc"
    ],
    "kvseam_test_sources": [],
    "kvseam_fuzz_sources": ["native/fuzz/metadata_fuzz.cc"],

    "kvseam_cxx_standard": "20",
    "kvseam_include": ["native"],
    "kvseam_defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    "kvseam_cflags": ["-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fstack-protector-strong", "-pthread"],
    "kvseam_release_cflags": ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
    "kvseam_ldflags": ["-Wl,-z,relro,-z,now", "-pthread"],
    "kvseam_libraries": ["-ldl", "-lrt"]
  }
}
