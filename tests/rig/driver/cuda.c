/* A test double of the CUDA driver library, libcuda.so.1: see nvml.c. */
#include <signal.h>
#include <unistd.h>

#include "double.h"

int cuDriverGetVersion(int *version) {
    *version = CUDA_VERSION;
    return 0;
}

int cuInit(unsigned int flags) {
    (void)flags;
    if (CUDA_STATUS == CRASHES) raise(SIGSEGV);
    if (CUDA_STATUS == HANGS) pause();
    return CUDA_STATUS;
}
