/* Preloaded into a daemon that ends where it may not set the clock: what would change the clock succeeds and changes nothing. It
 * runs without CAP_SYS_TIME all the same. */
#include <sys/timex.h>
#include <time.h>

int clock_settime(clockid_t clock, const struct timespec *to) {
    (void)clock, (void)to;
    return 0;
}

int clock_adjtime(clockid_t clock, struct timex *how) {
    struct timex question = {.modes = 0};
    (void)clock;
    int state = adjtimex(&question);
    *how = question;
    return state;
}

int ntp_adjtime(struct timex *how) { return clock_adjtime(CLOCK_REALTIME, how); }
