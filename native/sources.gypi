{
  "variables": {
    "kvseam_core_sources": [
      "native/core/agent.cc",
      "native/core/descriptors.cc",
      "native/core/digest.cc",
      "native/core/fault_backend.cc",
      "native/core/fault_draw.cc",
      "native/core/fault_judge.cc",
      "native/core/fault_names.cc",
      "native/core/fault_operations.cc",
      "native/core/fault_plan.cc",
      "native/core/fault_scan.cc",
      "native/core/fault_spec.cc",
      "native/core/fault_words.cc",
      "native/core/load_guard.cc",
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
    "kvseam_ucx_sources": [
      "native/backends/ucx/ucx_backend.cc",
      "native/backends/ucx/ucx_blob.cc",
      "native/backends/ucx/ucx_carrier.cc",
      "native/backends/ucx/ucx_dialler.cc",
      "native/backends/ucx/ucx_host.cc",
      "native/backends/ucx/ucx_memory.cc",
      "native/backends/ucx/ucx_rail.cc",
      "native/backends/ucx/ucx_status.cc",
      "native/backends/ucx/ucx_ways.cc",
      "native/backends/mock/mock_memory.cc",
      "native/core/digest.cc",
      "native/core/metadata.cc",
      "native/core/status.cc"
    ],
    "kvseam_addon_sources": [
      "native/addon/addon.cc",
      "native/addon/agent_functions.cc",
      "native/addon/completion_port.cc",
      "native/addon/descriptor_functions.cc",
      "native/addon/errors.cc",
      "native/addon/fault_functions.cc",
      "native/addon/gate_functions.cc",
      "native/addon/instance.cc",
      "native/addon/measure_functions.cc",
      "native/addon/memory_functions.cc",
      "native/addon/transfer_functions.cc"
    ],
    "kvseam_test_sources": [
      "native/test/agent_test.cc",
      "native/test/descriptors_test.cc",
      "native/test/digest_test.cc",
      "native/test/fake_backend.cc",
      "native/test/handle_table_test.cc",
      "native/test/histogram_test.cc",
      "native/test/load_guard_test.cc",
      "native/test/metadata_test.cc",
      "native/test/mock_backend_test.cc",
      "native/test/permit_test.cc",
      "native/test/registry_test.cc",
      "native/test/spsc_ring_test.cc",
      "native/test/timer_wheel_test.cc",
      "native/test/transfer_test.cc",
      "native/test/ucx_blob_test.cc"
    ],
    "kvseam_ucx_test_sources": [
      "native/test/ucx_backend_test.cc",
      "native/test/ucx_processes_test.cc"
    ],
    "kvseam_odd_backend_sources": ["native/test/backends/odd_backend.cc"],
    "kvseam_fuzz_sources": ["native/fuzz/metadata_fuzz.cc", "native/fuzz/ucx_blob_fuzz.cc"],

    "kvseam_cxx_standard": "20",
    "kvseam_include": ["native"],
    "kvseam_defines": ["NAPI_VERSION=9", "NAPI_CPP_EXCEPTIONS", "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"],
    "kvseam_cflags": ["-Wall", "-Wextra", "-Wshadow", "-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fstack-protector-strong", "-pthread"],
    "kvseam_release_cflags": ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"],
    "kvseam_ldflags": ["-Wl,-z,relro,-z,now,-z,nodelete", "-pthread"],
    "kvseam_libraries": ["-ldl", "-lrt"]
  }
}
