/*
 * Test doubles of CUDA's libraries: cudart, cuDNN and NCCL, each of which reports the version it was
 * compiled with (-DVERSION=…).  The real ones are hundreds of megabytes; where a test can, it uses them.
 */
#include <stddef.h>

int cudaRuntimeGetVersion(int *version) {
    *version = VERSION;
    return 0;
}

size_t cudnnGetVersion(void) { return VERSION; }

int ncclGetVersion(int *version) {
    *version = VERSION;
    return 0;
}

int hipRuntimeGetVersion(int *version) {
    *version = VERSION;
    return 0;
}
