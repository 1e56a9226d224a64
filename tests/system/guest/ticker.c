/* ticker AHEAD_MS ERROR_MS: in a QEMU guest, a second that is true: a pulse by the parallel port (the kernel module pps_parport stamps it as
 * /dev/pps0) at its beginning, and its number by shared memory (unit 2), the latter wrong by ERROR_MS. It begins AHEAD_MS before the
 * system clock's, and goes by a counter that no daemon steers. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <time.h>

enum { DATA = 0x378, STATUS, CONTROL };
/* Initialised, not strobed, selected and with interrupts: QEMU's port raises one, until its status is read. */
enum { READY = 0x1c };

/* As all writers of such segments have it, on a machine with 64 bits. */
struct segment {
    int mode;
    volatile int count;
    time_t seconds;
    int micros;
    time_t received_seconds;
    int received_micros, leap, precision, samples;
    volatile int valid;
    unsigned nanos, received_nanos;
    int reserved[8];
};

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void tell(struct segment *s, long long clock, long long received)
{
    s->mode = 1;
    s->valid = 0;
    s->count++;
    s->seconds = clock / 1000000000, s->nanos = clock % 1000000000, s->micros = s->nanos / 1000;
    s->received_seconds = received / 1000000000, s->received_nanos = received % 1000000000, s->received_micros = s->received_nanos / 1000;
    s->leap = 0;
    s->precision = -6;
    s->count++;
    s->valid = 1;
}

int main(int argc, char **argv)
{
    if (argc != 3 || ioperm(DATA, 3, 1))
        return perror("ticker"), 2;
    struct segment *s = shmat(shmget(0x4e545032, sizeof *s, IPC_CREAT | 0666), NULL, 0);
    if (s == (void *)-1)
        return perror("ticker: shared memory"), 2;
    long long error = atof(argv[2]) * 1e6;
    long long ahead = now(CLOCK_REALTIME) - now(CLOCK_MONOTONIC_RAW) + (long long)(atof(argv[1]) * 1e6);
    for (;;) {
        long long left = 1000000000 - (now(CLOCK_MONOTONIC_RAW) + ahead) % 1000000000;
        struct timespec sleep = { 0, left - 200000 };
        if (left > 200000)
            nanosleep(&sleep, NULL);
        while ((now(CLOCK_MONOTONIC_RAW) + ahead) % 1000000000 > 500000000)
            ;
        outb(READY, CONTROL);
        inb(STATUS);
        tell(s, now(CLOCK_MONOTONIC_RAW) + ahead + error, now(CLOCK_REALTIME));
    }
}
