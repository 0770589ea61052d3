/* A test double of the CUDA driver library, libcuda.so.1: see nvml.c. */
#include "double.h"

int cuDriverGetVersion(int *version) {
    *version = CUDA_VERSION;
    return 0;
}

int cuInit(unsigned int flags) {
    (void)flags;
    return CUDA_STATUS;
}
