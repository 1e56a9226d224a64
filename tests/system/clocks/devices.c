/* Answers the ioctls of PPS and PTP devices of a program in their place (seccomp user notification, Linux 5.0), with any time.
 * The devices may be any files, /dev/null for one: what counts is the request.
 *
 * usage: devices LAW PROGRAM ARGUMENT...
 * LAW is a file of lines NAME VALUE, read anew at each request; what it does not name is 0:
 *   pulse NS    pulses come so many nanoseconds after each second of the wall clock
 *   silent 1    no further pulses come
 *   edges N     edges that the device captures (1 assert, 2 clear); edges that it reports at first are those of the line `reports'
 *   reports N
 *   phc NS      the hardware clock minus the wall clock
 *   span NS     how long a reading takes; each is longer than the one before by a tenth
 *   slow MS     a reading blocks for so long
 *   lacks N     1: no PTP_SYS_OFFSET_PRECISE, 2: no PTP_SYS_OFFSET_EXTENDED (bits)
 *   gone 1      all requests fail with ENODEV
 * LAW.log has a word for each request that was answered. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NANO 1000000000LL
enum { GETPARAMS, SETPARAMS, GETCAP, FETCH, KC_BIND, GETCAPS, PRECISE, EXTENDED, PLAIN, REQUESTS };
static const char *const names[REQUESTS] = {"GETPARAMS", "SETPARAMS", "GETCAP", "FETCH", "KC_BIND", "GETCAPS", "PRECISE", "EXTENDED", "PLAIN"};
/* As a program of 64 bits encodes them; the size is that of a pointer for PPS. */
static const uint32_t numbers[REQUESTS] = {0x800870a1, 0x400870a2, 0x800870a3, 0xc00870a4, 0x400870a5, 0x80503d01, 0xc0403d08, 0xc4c03d09, 0x43403d05};
/* A program of 32 bits encodes pointers of 4 bytes. */
static uint32_t narrow(int request) { return request <= KC_BIND ? (numbers[request] & ~0x3fff0000u) | 4 << 16 : numbers[request]; }

static const char *law_file;
static int mode_set = -1;

static long long law(const char *name) {
    char word[32];
    long long value, found = 0;
    FILE *file = fopen(law_file, "r");
    if (!file) return 0;
    while (fscanf(file, "%31s %lld", word, &value) == 2)
        if (!strcmp(word, name)) found = value;
    fclose(file);
    return found;
}

static long long wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * NANO + now.tv_nsec;
}

struct ptp_time { int64_t s; uint32_t ns, reserved; };
struct kernel_time { int64_t s; int32_t ns; uint32_t flags; };

static struct ptp_time ptp(long long ns) { return (struct ptp_time){ns / NANO, ns % NANO, 0}; }

/* Writes the answer to a request to `data`, whose old contents are there; its length, or a negative errno. */
static long answer(int request, char *data) {
    int n, k, *ints = (int *)data;
    long long t = wall(), span = law("span"), phc = law("phc"), pulse = law("pulse"), last;
    struct ptp_time *times = (struct ptp_time *)data;
    static unsigned sequence;
    static long long stamp;
    if (law("gone")) return -ENODEV;
    switch (request) {
    case GETPARAMS:
        memset(data, 0, 40);
        ints[0] = 1, ints[1] = (mode_set < 0 ? (int)law("reports") : mode_set) | 0x1000;
        return 40;
    case SETPARAMS: mode_set = ints[1] & 3; return 0;
    case GETCAP: ints[0] = law("edges") | 0x1100; return 4;
    case KC_BIND: return -EOPNOTSUPP;
    case FETCH:
        last = (t - pulse) / NANO * NANO + pulse;
        if (!law("silent") && last != stamp) stamp = last, sequence++;
        memset(data, 0, 64);
        /* The clear edge is a tenth of a second later. */
        ints[0] = ints[1] = sequence;
        *(struct kernel_time *)(data + 8) = (struct kernel_time){stamp / NANO, stamp % NANO, 0};
        *(struct kernel_time *)(data + 24) = (struct kernel_time){(stamp + NANO / 10) / NANO, (stamp + NANO / 10) % NANO, 0};
        return 64;
    case GETCAPS: memset(data, 0, 80); return 80;
    case PRECISE:
        if (law("lacks") & 1) return -EOPNOTSUPP;
        usleep(law("slow") * 1000);
        times[0] = ptp(t + phc), times[1] = ptp(t), times[2] = ptp(t);
        return 64;
    case EXTENDED:
        n = ints[0];
        if (law("lacks") & 2) return -ENOTTY;
        if (n > 25 || ints[1] || ints[2] || ints[3]) return -EINVAL;
        usleep(law("slow") * 1000);
        for (k = 0; k < n; k++, t += span, span += span / 10) {
            times[1 + 3 * k] = ptp(t);
            /* The longer, the more lopsided. */
            times[2 + 3 * k] = ptp(t + span / 2 + phc + k * span / 50);
            times[3 + 3 * k] = ptp(t + span);
        }
        return 16 + 48 * n;
    case PLAIN:
        n = ints[0];
        if (n > 25) return -EINVAL;
        for (k = 0; k < n; k++, t += span, span += span / 10) {
            times[1 + 2 * k] = ptp(t);
            times[2 + 2 * k] = ptp(t + span / 2 + phc);
        }
        times[1 + 2 * n] = ptp(t);
        return 16 + 16 * (2 * n + 1);
    }
    return -ENOTTY;
}

static void supervise(int listener) {
    char log_file[4096];
    struct seccomp_notif_sizes sizes;
    snprintf(log_file, sizeof log_file, "%s.log", law_file);
    syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
    struct seccomp_notif *asked = malloc(sizes.seccomp_notif);
    struct seccomp_notif_resp *reply = malloc(sizes.seccomp_notif_resp);
    for (;;) {
        struct pollfd wait = {listener, POLLIN, 0};
        if (poll(&wait, 1, -1) < 0 && errno != EINTR) return;
        if (wait.revents & POLLHUP) return;
        if (!(wait.revents & POLLIN)) continue;
        memset(asked, 0, sizes.seccomp_notif);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, asked)) continue;
        memset(reply, 0, sizes.seccomp_notif_resp);
        reply->id = asked->id;
        int request = 0;
        while (request < REQUESTS && (uint32_t)asked->data.args[1] != numbers[request] && (uint32_t)asked->data.args[1] != narrow(request))
            request++;
        char path[64], data[2048] = {0};
        snprintf(path, sizeof path, "/proc/%d/mem", asked->pid);
        int memory = open(path, O_RDWR);
        if (request == REQUESTS || memory < 0 || pread(memory, data, 1300, asked->data.args[2]) < 12) reply->error = -EFAULT;
        else {
            /* What blocks is answered by a process of its own, which has the listener, too. */
            int blocks = (request == PRECISE || request == EXTENDED) && law("slow");
            if (blocks && fork()) {
                close(memory);
                continue;
            }
            long length = answer(request, data);
            if (length < 0) reply->error = length;
            else if (length && pwrite(memory, data, length, asked->data.args[2]) != length) reply->error = -EFAULT;
            FILE *log = fopen(log_file, "a");
            if (log) fprintf(log, "%s\n", names[request]), fclose(log);
            if (blocks) ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, reply), _exit(0);
        }
        if (memory >= 0) close(memory);
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, reply);
    }
}

static int install(void) {
    enum { MOST = 2 * REQUESTS };
    struct sock_filter program[MOST + 5];
    uint32_t wanted[MOST];
    int n = 0, k, at = 0;
    for (k = 0; k < REQUESTS; k++) {
        wanted[n++] = numbers[k];
        if (narrow(k) != numbers[k]) wanted[n++] = narrow(k);
    }
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, n + 1);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1]));
    for (k = 0; k < n; k++) program[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted[k], n - k, 0);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
    struct sock_fprog filter = {at, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

int main(int argc, char **argv) {
    int pair[2], status;
    if (argc < 3) return 2;
    law_file = argv[1];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) return 2;
    char room[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
    struct iovec text = {&byte, 1};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    pid_t child = fork();
    if (!child) {
        int listener = install();
        if (listener < 0) perror("seccomp"), _exit(125);
        struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
        *passed = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(passed), &listener, sizeof listener);
        if (sendmsg(pair[1], &message, 0) < 0) _exit(125);
        close(listener), close(pair[0]), close(pair[1]);
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    close(pair[1]);
    if (recvmsg(pair[0], &message, 0) == 1 && CMSG_FIRSTHDR(&message)) supervise(*(int *)CMSG_DATA(CMSG_FIRSTHDR(&message)));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
