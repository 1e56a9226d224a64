/* oldkernel LEVEL [-4] [-k] PROG ARGS...      LEVEL: 298 = Linux 2.6.32 (CentOS 6), 313 = 3.10 (CentOS 7)
 *
 * Runs PROG as if on an old x86_64 kernel, by a seccomp filter:
 *   - every system call numbered above LEVEL gives ENOSYS;
 *   - flags and options that came later give what the old kernel gave (EINVAL, ENOPROTOOPT): see rules[].
 * -4  a kernel without IPv6: such sockets give EAFNOSUPPORT
 * -k  a refused system call stops the program with SIGSYS (to find who calls)
 * What it cannot show: what is passed through pointers (epoll events, struct timex modes), open(2) flags that an old
 * kernel ignores silently (O_PATH, O_TMPFILE), the vDSO, sysfs and procfs contents, and Red Hat's backports. PROG
 * must be static: today's loader itself does not run on 2.6.32. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SET, GT, EQ };        /* how an argument is compared with val */
enum { ANY = 9 };            /* no guard */
enum { IPV6 = 1 << 30 };     /* a level of its own, for -4 */
/* On kernels up to `from', call nr fails with err if argument arg compares so with val, and the guard argument, if
 * there is one, equals guard_val. */
struct rule { unsigned from, nr, arg, op, val, err, guard, guard_val; };
static const struct rule rules[] = {
    { 298, SYS_newfstatat, 3, SET, 0x1000, EINVAL, ANY, 0 },      /* AT_EMPTY_PATH: 2.6.39 */
    { 298, SYS_linkat, 4, SET, 0x1000, EINVAL, ANY, 0 },
    { 298, SYS_prctl, 0, GT, 34, EINVAL, ANY, 0 },                /* after PR_MCE_KILL_GET */
    { 313, SYS_prctl, 0, GT, 40, EINVAL, ANY, 0 },                /* after PR_GET_TID_ADDRESS */
    { 298, SYS_prctl, 1, EQ, 2, EINVAL, 0, 22 },                  /* PR_SET_SECCOMP: filters are of 3.5 */
    { 298, SYS_fcntl, 1, GT, 1030, EINVAL, ANY, 0 },              /* F_SETPIPE_SZ 2.6.35, seals 3.17 */
    { 313, SYS_fcntl, 1, GT, 1032, EINVAL, ANY, 0 },
    { 313, SYS_fcntl, 1, EQ, 36, EINVAL, ANY, 0 },                /* locks of open files: 3.15 */
    { 313, SYS_fcntl, 1, EQ, 37, EINVAL, ANY, 0 },
    { 313, SYS_fcntl, 1, EQ, 38, EINVAL, ANY, 0 },
    { 298, SYS_setsockopt, 2, EQ, 15, ENOPROTOOPT, 1, 1 },        /* SO_REUSEPORT: 3.9 */
    { 298, SYS_setsockopt, 2, GT, 39, ENOPROTOOPT, 1, 1 },        /* after SO_DOMAIN */
    { 313, SYS_setsockopt, 2, GT, 45, ENOPROTOOPT, 1, 1 },        /* after SO_SELECT_ERR_QUEUE */
    { 298, SYS_timerfd_create, 0, GT, 1, EINVAL, ANY, 0 },        /* CLOCK_BOOTTIME: 3.15 */
    { 313, SYS_timerfd_create, 0, GT, 1, EINVAL, ANY, 0 },
    { 313, SYS_madvise, 2, EQ, 8, EINVAL, ANY, 0 },               /* MADV_FREE: 4.5 */
    { 298, SYS_madvise, 2, GT, 13, EINVAL, ANY, 0 },              /* MADV_HUGEPAGE: 2.6.38 */
    { 298, SYS_clock_gettime, 0, GT, 6, EINVAL, ANY, 0 },         /* after CLOCK_MONOTONIC_COARSE */
    { 298, SYS_clock_getres, 0, GT, 6, EINVAL, ANY, 0 },
    { 298, SYS_clock_nanosleep, 0, GT, 6, EINVAL, ANY, 0 },
    { IPV6, SYS_socket, 0, EQ, 10, EAFNOSUPPORT, ANY, 0 },
};

static struct sock_filter filter[256];
static unsigned short length;
static void statement(unsigned code, unsigned k) { filter[length++] = (struct sock_filter)BPF_STMT(code, k); }
static void jump(unsigned code, unsigned k, int yes, int no) { filter[length++] = (struct sock_filter)BPF_JUMP(code, k, yes, no); }
#define DATA(member) (offsetof(struct seccomp_data, member))

int main(int argc, char **argv) {
    int i = 2, stop = 0, no_ipv6 = 0;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (!strcmp(argv[i], "-k")) stop = 1;
        else if (!strcmp(argv[i], "-4")) no_ipv6 = 1;
        else { fprintf(stderr, "oldkernel: bad option %s\n", argv[i]); return 2; }
    }
    if (i >= argc) { fprintf(stderr, "usage: oldkernel LEVEL [-4] [-k] PROG ARGS...\n"); return 2; }
    unsigned level = atoi(argv[1]);
    statement(BPF_LD | BPF_W | BPF_ABS, DATA(arch));
    jump(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    statement(BPF_LD | BPF_W | BPF_ABS, DATA(nr));
    jump(BPF_JMP | BPF_JGT | BPF_K, level, 0, 1);
    statement(BPF_RET | BPF_K, stop ? SECCOMP_RET_TRAP : SECCOMP_RET_ERRNO | ENOSYS);
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        const struct rule *q = rules + r;
        if (q->from == IPV6 ? !no_ipv6 : q->from < level) continue;
        int guarded = q->guard != ANY;
        statement(BPF_LD | BPF_W | BPF_ABS, DATA(nr));
        jump(BPF_JMP | BPF_JEQ | BPF_K, q->nr, 0, guarded ? 5 : 3);
        if (guarded) {
            statement(BPF_LD | BPF_W | BPF_ABS, DATA(args) + 8 * q->guard);
            jump(BPF_JMP | BPF_JEQ | BPF_K, q->guard_val, 0, 3);
        }
        statement(BPF_LD | BPF_W | BPF_ABS, DATA(args) + 8 * q->arg);
        jump(BPF_JMP | BPF_K | (q->op == SET ? BPF_JSET : q->op == GT ? BPF_JGT : BPF_JEQ), q->val, 0, 1);
        statement(BPF_RET | BPF_K, stop ? SECCOMP_RET_TRAP : SECCOMP_RET_ERRNO | q->err);
    }
    statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { length, filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) { perror("oldkernel: no_new_privs"); return 2; }
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) { perror("oldkernel: seccomp"); return 2; }
    execv(argv[i], argv + i);
    perror(argv[i]);
    return 127;
}
