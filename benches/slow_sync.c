/* Makes every sync of a file take as long as on a slower disk: FRAZIL_SYNC_MICROS more microseconds.
 * Loaded before the C library (LD_PRELOAD); the sync itself still happens. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int late(const char *name, int fd)
{
    int (*sync)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    const char *micros = getenv("FRAZIL_SYNC_MICROS");
    if (micros)
        usleep((useconds_t)atoi(micros));
    return sync(fd);
}

int fsync(int fd) { return late("fsync", fd); }
int fdatasync(int fd) { return late("fdatasync", fd); }
