/* A faked world under the unmodified daemon: loaded with LD_PRELOAD it gives the process a kernel clock, a
 * monotonic clock and NTP servers of its own, in simulated time. So the very binary that ships, event loop and
 * system calls included, disciplines a clock whose true error is known. Made for tests/system/fake/run.sh, which says
 * what the environment variables mean. Linux, glibc.
 *
 * The kernel clock behaves as Linux does: ADJ_FREQUENCY at once, ADJ_OFFSET_SINGLESHOT worked off at no more
 * than 500 us a second from the next whole second on, ADJ_SETOFFSET, ADJ_TICK, ADJ_STATUS and the errors kept.
 * Its own loop takes a phase by ADJ_OFFSET while STA_PLL is on, and works off the same part of what is left each
 * second, STA_PLL or not. With FAKE_LOOP=0 it has no loop, and counts in microseconds only.
 * CLOCK_MONOTONIC runs with the same corrections, but is never stepped.
 *
 * At FAKE_AT (seconds) another program sets the clock by FAKE_SET seconds, or the machine is suspended for FAKE_ASLEEP seconds, and its
 * hardware clock is off by FAKE_SET afterwards; the kernel reports either to a timer of the wall clock. From then on another program with FAKE_RIVAL sets the frequency each 100 s. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define NS 1e9L
#define FDS 256
#define QUEUE 1024

/* ---- what chance decides ---- */
static uint64_t seed_state;
static double uniform(void) {
    seed_state ^= seed_state << 13; seed_state ^= seed_state >> 7; seed_state ^= seed_state << 17;
    return ((seed_state >> 11) + 0.5) / 9007199254740992.0;
}
static double normal(void) { return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()); }
static double setting(const char *name, double otherwise) { const char *s = getenv(name); return s ? atof(s) : otherwise; }

/* ---- the clock ---- */
static long EPOCH;                            /* Unix time where true time begins: 2026-01-01, or FAKE_EPOCH */
static long double truth, wall, mono;        /* nanoseconds since EPOCH; mono since the start */
static double hardware, walk, swing, period;  /* frequency error of the crystal now, its wander, temperature */
static double adjusted, ticked;               /* what adjtimex has set: frequency and tick, s/s */
static double shot, shooting;                 /* singleshot: left, ns; working off now, ns per second */
static double phase, phasing, since;          /* the loop's phase: left, ns; working off now, ns per second; given when */
static int looped;                            /* whether there is a loop at all */
static struct timex kept;
/* ---- what is measured ---- */
static double duration, squares, greatest, limit, settled = 0, counted, late, lates;
static long packets, next_second = 1, steps;

static int watch = -1, changed;               /* the timer that reports a clock which was set, and whether it was */
static long double asleep;                    /* ns that the machine was suspended for, by its hardware clock */

static double rate(void) { return (1 + hardware) * (1 + adjusted + ticked + (shooting + phasing) / 1e9) - 1; }

static void true_second(void) { /* the crystal wanders; the error is noted */
    double error = (double)(wall - truth) / 1e9, at = next_second;
    walk += setting("FAKE_WANDER", 1e-9) * normal();
    hardware = setting("FAKE_FREQUENCY", 10e-6) + walk + (period > 0 ? swing * sin(2 * M_PI * at / period) : 0);
    if (fabs(error) > limit) settled = at + 1;
    if (at >= duration * 0.9) { late += error * error; lates++; }
    if (at >= duration * 0.2) {
        squares += error * error; counted++;
        if (fabs(error) > greatest) greatest = fabs(error);
    }
    next_second++;
    double since = at - setting("FAKE_AT", 0);
    if (!getenv("FAKE_AT") || since < 0) return;
    if (fmod(since, 100) == 0) adjusted += setting("FAKE_RIVAL", 0);
    if (since > 0) return;
    long double span = setting("FAKE_ASLEEP", 0) * NS, set = setting("FAKE_SET", 0) * NS;
    asleep = span > 0 ? span + set : 0;
    changed = span != 0 || set != 0;
    duration += (double)(span / NS);
    truth += span; wall += span + set;
    next_second = (long)floorl(truth / NS) + 1;
    if (set != 0) shot = shooting = phase = phasing = 0;
}
static void wall_second(void) { /* the kernel's once a second */
    shooting = fmax(-500e3, fmin(500e3, shot)); shot -= shooting;
    phasing = phase / (4 << kept.constant); phase -= phasing;
    if (kept.maxerror < 16000000) kept.maxerror += 500;
    if (kept.maxerror >= 16000000) kept.status |= STA_UNSYNC;
}
static void stepped(void) { /* a clock that is set starts afresh, but keeps its frequency */
    shot = shooting = phase = phasing = 0;
    kept.status |= STA_UNSYNC; kept.maxerror = kept.esterror = 16000000;
    steps++;
}
static void loop(unsigned m, const struct timex *t) { /* what the loop makes of status, units, time constant, phase */
    double second = floor((double)(wall / NS));
    if (m & ADJ_STATUS) {
        if (kept.status & STA_PLL && !(t->status & STA_PLL)) kept.status = STA_UNSYNC; /* so STA_NANO goes with it */
        if (!(kept.status & STA_PLL) && t->status & STA_PLL) since = second;
        kept.status = (kept.status & STA_RONLY) | (t->status & ~STA_RONLY);
    }
    if (m & ADJ_NANO) kept.status |= STA_NANO;
    if (m & ADJ_MICRO) kept.status &= ~STA_NANO;
    if (m & ADJ_TIMECONST) kept.constant = fmax(0, fmin(10, t->constant + (kept.status & STA_NANO ? 0 : 4)));
    if (!(m & ADJ_OFFSET) || !(kept.status & STA_PLL)) return;
    phase = fmax(-500e6, fmin(500e6, t->offset * (kept.status & STA_NANO ? 1.0 : 1e3)));
    double span = kept.status & STA_FREQHOLD ? 0 : second - since, change = 0;
    since = second;
    if (span >= 256 && (kept.status & STA_FLL || span > 2048)) change = phase / span / 4;
    change += phase * fmin(span, 8 << kept.constant) / pow(4, 4 + kept.constant);
    adjusted = fmax(-500e-6, fmin(500e-6, adjusted + change / 1e9));
}
/* Lets the world go on to a true time, stopping at every whole second of true and of wall time. */
static void advance(long double to) {
    while (truth < to && !changed) {
        long double next = fminl(to, next_second * NS);
        long double edge = (floorl(wall / NS) + 1) * NS;
        long double until_edge = (edge - wall) / (1 + rate());
        int ticks = until_edge <= next - truth;
        long double dt = ticks ? until_edge : next - truth;
        truth += dt; mono += dt * (1 + rate());
        if (ticks) { wall = edge; wall_second(); } else wall += dt * (1 + rate());
        if (truth >= next_second * NS) true_second();
    }
}
static void report(void) {
    FILE *f = fopen(getenv("FAKE_OUT"), "w");
    if (!f) return;
    fprintf(f, "rms_us=%.2f max_us=%.1f packets=%ld settle=%.0f steps=%ld frequency_ppm=%.3f late_us=%.2f\n", sqrt(squares / fmax(counted, 1)) * 1e6,
            greatest * 1e6, packets, settled, steps, adjusted * 1e6, sqrt(late / fmax(lates, 1)) * 1e6);
    fclose(f);
}
static void begin(void) {
    static int begun;
    if (begun) return;
    begun = 1;
    seed_state = 0x9e3779b97f4a7c15ull ^ ((uint64_t)setting("FAKE_SEED", 1) * 0xbf58476d1ce4e5b9ull);
    for (int i = 0; i < 20; i++) uniform();
    duration = setting("FAKE_DURATION", 100000); limit = setting("FAKE_LIMIT", 5e-3);
    swing = setting("FAKE_SWING", 0); period = setting("FAKE_PERIOD", 0);
    hardware = setting("FAKE_FREQUENCY", 10e-6);
    EPOCH = (long)setting("FAKE_EPOCH", 1767225600);
    wall = setting("FAKE_OFFSET", 10e-3) * NS;
    looped = setting("FAKE_LOOP", 1) != 0;
    kept.tick = 10000; kept.status = STA_UNSYNC; kept.maxerror = kept.esterror = 16000000; kept.constant = 2; kept.precision = 1; kept.tolerance = 500 << 16;
}

/* ---- the network: every request to port 123 is answered by the server of that address ---- */
struct packet { long double at; int fd; uint8_t data[48]; struct sockaddr_in from; };
static struct packet queue[QUEUE];
static int waiting;
static struct { int watched; epoll_data_t data; } fds[FDS];

static double delay(const char *jitter, double extra) {
    return setting("FAKE_BASE", 10e-3) + setting(jitter, 1e-3) * -log(uniform()) + extra;
}
static uint64_t ntp(long double ns) {
    long double s = ns / NS + EPOCH + 2208988800.0L;
    uint64_t whole = (uint64_t)s;
    return whole << 32 | (uint64_t)((s - whole) * 4294967296.0L);
}
static void put(uint8_t *p, uint64_t v) { for (int i = 0; i < 8; i++) p[i] = v >> (56 - 8 * i); }

static void request(int fd, const uint8_t *data, size_t n, const struct sockaddr_in *to) {
    if (n < 48 || (data[0] & 7) != 3 || waiting == QUEUE) return;
    packets++;
    if (uniform() < setting("FAKE_LOSS", 0)) return;
    double up = delay("FAKE_UP", packets % 30 < 6 ? setting("FAKE_BURST", 0) : 0);
    struct packet *p = queue + waiting++;
    long double there = truth + up * NS, lies = (ntohl(to->sin_addr.s_addr) & 255) >= setting("FAKE_LIAR", 4) ? setting("FAKE_LIE", 0) * NS : 0;
    memset(p, 0, sizeof *p);
    p->fd = fd; p->from = *to; p->at = there + delay("FAKE_DOWN", 0) * NS;
    p->data[0] = 0x24; p->data[1] = 1; p->data[2] = data[2]; p->data[3] = 0xe9; memcpy(p->data + 12, "FAKE", 4);
    put(p->data + 16, ntp(there + lies - NS)); memcpy(p->data + 24, data + 40, 8);
    put(p->data + 32, ntp(there + lies)); put(p->data + 40, ntp(there + lies));
}
static int first(int fd) { /* the packet that arrives next, for fd or (−1) for anybody */
    int best = -1;
    for (int i = 0; i < waiting; i++)
        if ((fd < 0 || queue[i].fd == fd) && (best < 0 || queue[i].at < queue[best].at)) best = i;
    return best;
}

/* ---- what the program calls ---- */
#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int clock_gettime(clockid_t id, struct timespec *t) {
    begin();
    long double ns = id == CLOCK_REALTIME ? wall + EPOCH * NS : mono + NS + (id == CLOCK_BOOTTIME ? asleep : 0);
    t->tv_sec = (time_t)floorl(ns / NS); t->tv_nsec = (long)(ns - floorl(ns / NS) * NS);
    mono += 20; wall += 20; truth += 20; /* reading takes its time: 20 ns */
    return 0;
}
int clock_settime(clockid_t id, const struct timespec *t) {
    (void)id; begin(); wall = (t->tv_sec - EPOCH) * NS + t->tv_nsec; stepped(); return 0;
}
int adjtimex(struct timex *t) {
    begin();
    unsigned m = t->modes;
    if (m == ADJ_OFFSET_SINGLESHOT) { long old = lrint(shot / 1e3); shot = t->offset * 1e3; t->offset = old; return TIME_OK; }
    if (m == ADJ_OFFSET_SS_READ) { t->offset = lrint(shot / 1e3); return TIME_OK; }
    if (m & ADJ_FREQUENCY) adjusted = fmax(-500, fmin(500, t->freq / 65536.0)) * 1e-6;
    if (m & ADJ_TICK) { kept.tick = t->tick; ticked = (t->tick - 10000) / 10000.0; }
    if (m & ADJ_MAXERROR) kept.maxerror = t->maxerror;
    if (m & ADJ_ESTERROR) kept.esterror = t->esterror;
    if (looped) loop(m, t);
    else {
        if (m & ADJ_STATUS) kept.status = t->status;
        if (m & ADJ_TIMECONST) kept.constant = t->constant;
    }
    if (m & ADJ_SETOFFSET) { wall += t->time.tv_sec * NS + t->time.tv_usec * (m & ADJ_NANO ? 1 : 1000); stepped(); }
    kept.offset = (long)(phase / (kept.status & STA_NANO ? 1 : 1000));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *t = kept; t->modes = m; t->freq = lrint(adjusted * 1e6 * 65536); t->time.tv_sec = now.tv_sec; t->time.tv_usec = now.tv_nsec / 1000;
    return kept.status & STA_UNSYNC ? TIME_ERROR : TIME_OK;
}
int ntp_adjtime(struct timex *t) { return adjtimex(t); }
int clock_adjtime(clockid_t id, struct timex *t) { (void)id; return adjtimex(t); }

int open64(const char *path, int flags, ...) { /* randomness is the seed's too: a run repeats */
    REAL(open64);
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more);
    if (strcmp(path, "/dev/urandom") != 0) return real(path, flags, mode);
    begin();
    int fd = memfd_create("random", MFD_CLOEXEC);
    uint64_t words[64];
    for (int i = 0; i < 64; i++) words[i] = (uint64_t)(setting("FAKE_SEED", 1) + 1) * 0xd6e8feb86659fd93ull * (i + 1);
    if (pwrite(fd, words, sizeof words, 0) < 0) return -1;
    return fd;
}
int timerfd_create(int id, int flags) {
    REAL(timerfd_create);
    int fd = real(id, flags);
    if (id == CLOCK_REALTIME && fd < FDS) watch = fd;
    return fd;
}
int epoll_ctl(int ep, int op, int fd, struct epoll_event *e) {
    REAL(epoll_ctl);
    if (fd >= 0 && fd < FDS) { fds[fd].watched = op != EPOLL_CTL_DEL; if (e) fds[fd].data = e->data; }
    return real(ep, op, fd, e);
}
int epoll_wait(int ep, struct epoll_event *events, int max, int timeout) {
    REAL(epoll_wait);
    begin();
    int n = real(ep, events, max, 0);
    if (n != 0) return n;
    int next = first(-1);
    long double wake = timeout < 0 ? duration * NS + 1 : truth + timeout * 1e6L / (1 + rate());
    if (next >= 0 && queue[next].at < wake) wake = fmaxl(queue[next].at, truth);
    if (wake > duration * NS) {
        static int ended;
        if (!ended++) { advance(duration * NS); report(); kill(getpid(), SIGTERM); }
        return real(ep, events, max, 1000);
    }
    advance(wake);
    if (changed && watch >= 0 && fds[watch].watched) { events[n].events = EPOLLIN; events[n++].data = fds[watch].data; }
    changed = 0;
    for (next = 0; next < waiting && n < max; next++)
        if (queue[next].at <= truth && fds[queue[next].fd].watched) { events[n].events = EPOLLIN; events[n++].data = fds[queue[next].fd].data; }
    return n;
}
ssize_t sendmsg(int fd, const struct msghdr *m, int flags) {
    REAL(sendmsg);
    const struct sockaddr_in *to = m->msg_name;
    if (!to || to->sin_family != AF_INET || to->sin_port != htons(123)) return real(fd, m, flags);
    request(fd, m->msg_iov->iov_base, m->msg_iov->iov_len, to);
    return m->msg_iov->iov_len;
}
ssize_t sendto(int fd, const void *b, size_t n, int flags, const struct sockaddr *a, socklen_t al) {
    REAL(sendto);
    const struct sockaddr_in *to = (const void *)a;
    if (!to || to->sin_family != AF_INET || to->sin_port != htons(123)) return real(fd, b, n, flags, a, al);
    request(fd, b, n, to);
    return n;
}
ssize_t recvmsg(int fd, struct msghdr *m, int flags) {
    REAL(recvmsg);
    int i = flags & MSG_ERRQUEUE ? -1 : first(fd);
    if (i < 0 || queue[i].at > truth) return real(fd, m, flags);
    memcpy(m->msg_iov->iov_base, queue[i].data, 48);
    if (m->msg_name) { memcpy(m->msg_name, &queue[i].from, sizeof queue[i].from); m->msg_namelen = sizeof queue[i].from; }
    m->msg_flags = 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    size_t used = 0;
    if (c && m->msg_controllen >= CMSG_SPACE(sizeof(struct timespec))) {
        struct timespec stamp; /* the wall clock at the moment of arrival */
        long double ns = wall + EPOCH * NS - (truth - queue[i].at) * (1 + rate());
        stamp.tv_sec = (time_t)floorl(ns / NS); stamp.tv_nsec = (long)(ns - floorl(ns / NS) * NS);
        c->cmsg_level = SOL_SOCKET; c->cmsg_type = SCM_TIMESTAMPNS; c->cmsg_len = CMSG_LEN(sizeof stamp);
        memcpy(CMSG_DATA(c), &stamp, sizeof stamp);
        used = CMSG_SPACE(sizeof stamp);
        struct in_pktinfo info = {0}; /* it was sent to 127.0.0.1 */
        if (m->msg_controllen >= used + CMSG_SPACE(sizeof info)) {
            info.ipi_addr.s_addr = info.ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK);
            c = (struct cmsghdr *)((char *)c + used);
            c->cmsg_level = IPPROTO_IP; c->cmsg_type = IP_PKTINFO; c->cmsg_len = CMSG_LEN(sizeof info);
            memcpy(CMSG_DATA(c), &info, sizeof info);
            used += CMSG_SPACE(sizeof info);
        }
    }
    m->msg_controllen = used;
    queue[i] = queue[--waiting];
    return 48;
}
/* Many at once, as the kernel does it: one by one until one fails. With FAKE_OLD the kernel has neither call. */
int recvmmsg(int fd, struct mmsghdr *m, unsigned n, int flags, struct timespec *t) {
    REAL(recvmmsg);
    if (setting("FAKE_OLD", 0) != 0) { errno = ENOSYS; return -1; }
    if (fd < 0) return real(fd, m, n, flags, t);
    for (unsigned i = 0; i < n; i++) {
        ssize_t length = recvmsg(fd, &m[i].msg_hdr, flags);
        if (length < 0) return i > 0 ? (int)i : -1;
        m[i].msg_len = length;
    }
    return n;
}
int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags) {
    REAL(sendmmsg);
    if (setting("FAKE_OLD", 0) != 0) { errno = ENOSYS; return -1; }
    if (fd < 0) return real(fd, m, n, flags);
    for (unsigned i = 0; i < n; i++) {
        ssize_t length = sendmsg(fd, &m[i].msg_hdr, flags);
        if (length < 0) return i > 0 ? (int)i : -1;
        m[i].msg_len = length;
    }
    return n;
}
