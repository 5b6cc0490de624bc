// SPDX-License-Identifier: Apache-2.0
// Operators that C++ code needs when it is linked without a C++ library. TVM's RPC server allocates two small
// objects when it starts. They are freed with the whole workspace.
#include <stddef.h>
#include <tvm/runtime/crt/platform.h>

static const DLDevice kCpu = {kDLCPU, 0};

void *operator new(size_t size) {
  void *data = nullptr;
  const tvm_crt_error_t error = TVMPlatformMemoryAllocate(size, kCpu, &data);
  if (error != kTvmErrorNoError) {
    TVMPlatformAbort(error);
  }
  return data;
}

void operator delete(void *data) noexcept {
  if (data != nullptr) {
    (void)TVMPlatformMemoryFree(data, kCpu);
  }
}

void operator delete(void *data, size_t) noexcept { operator delete(data); }

extern "C" void __cxa_pure_virtual(void) { TVMPlatformAbort(kTvmErrorPlatformCheckFailure); }
