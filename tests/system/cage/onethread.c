/* Preloaded into qemu-x86_64, the emulator of a processor: leaves out the thread of its own that it begins each process with, which
 * only gives memory back. /proc shows it as the emulated program's, and a daemon that sees two threads does not fork. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *with) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    static pid_t begun;
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    /* In a forked process, too, it is the first that is made. */
    if (begun != getpid()) {
        begun = getpid();
        return 0;
    }
    return real(thread, attributes, start, with);
}
