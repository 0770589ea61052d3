/*
 * A test double of NVIDIA's management library, libnvidia-ml.so.1.  There is no GPU and no driver where
 * the tests run: this plays both.  It answers the calls that nvidia-ml-py makes for envbuild's probe, as
 * nvml.h documents them, with what the scenario (double.h, written for each) says.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "double.h"

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, LIBRARY_NOT_FOUND = 12, UNKNOWN = 999 };

struct memory {
    unsigned long long total, free, used;
};

static const char *text_of(int status) {
    switch (status) {
    case SUCCESS: return "Success";
    case 9: return "Driver Not Loaded";
    case LIBRARY_NOT_FOUND: return "NVML Shared Library Not Found";
    case 15: return "GPU is lost";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
    }
}

const char *nvmlErrorString(int status) { return text_of(status); }

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    puts("a library that talks");
    if (NVML_STATUS == CRASHES) raise(SIGSEGV);
    if (NVML_STATUS == HANGS) pause();
    return NVML_STATUS;
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    snprintf(version, length, "%s", DRIVER_VERSION);
    return SUCCESS;
}

/* As documented: without libcuda this one invents a version, and a caller who trusts it is wrong. */
int nvmlSystemGetCudaDriverVersion(int *version) {
    *version = 99990;
    return SUCCESS;
}

int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    void *cuda = dlopen("libcuda.so.1", RTLD_NOW);
    int (*ask)(int *);
    if (cuda == NULL) return LIBRARY_NOT_FOUND;
    *(void **)&ask = dlsym(cuda, "cuDriverGetVersion");
    return ask != NULL && ask(version) == 0 ? SUCCESS : UNKNOWN;
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    *count = GPU_COUNT;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, const struct gpu **device) {
    if (index >= GPU_COUNT) return INVALID_ARGUMENT;
    *device = &GPUS[index];
    return GPUS[index].status;
}

int nvmlDeviceGetName(const struct gpu *device, char *name, unsigned int length) {
    snprintf(name, length, "%s", device->name);
    return SUCCESS;
}

int nvmlDeviceGetUUID(const struct gpu *device, char *text, unsigned int length) {
    snprintf(text, length, "GPU-00000000-0000-0000-0000-%012d", (int)(device - GPUS));
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(const struct gpu *device, int *major, int *minor) {
    *major = device->major;
    *minor = device->minor;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(const struct gpu *device, struct memory *memory) {
    memset(memory, 0, sizeof *memory);
    memory->total = device->memory;
    memory->free = device->memory;
    return SUCCESS;
}

int nvmlDeviceGetMigMode(const struct gpu *device, unsigned int *current, unsigned int *pending) {
    if (device->mig < 0) return NOT_SUPPORTED;
    *current = *pending = (unsigned int)device->mig;
    return SUCCESS;
}
