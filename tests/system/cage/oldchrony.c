/* Preloaded into chronyd 4.6.1 or later: says on standard error where record 1024 is in its key exchanges for NTS, and takes it
 * out. By this record both sides agree on the keys of AEAD 30 (AES-128-GCM-SIV) that the standard has; without it they are
 * those of chrony 4.4 to 4.6.
 * OLDCHRONY=both      out of what it sends and what it receives: as chrony before 4.6.1
 * OLDCHRONY=sent      only out of what it sends: as a server that takes the standard's keys and knows no record of chrony's
 * OLDCHRONY=none      it stays */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* Looks through a message; the length that is left. */
static size_t without(unsigned char *message, size_t length, const char *which, int out) {
    size_t from = 0, to = 0;
    while (length - from >= 4) {
        unsigned type = (message[from] << 8 | message[from + 1]) & 0x7fff;
        size_t whole = 4u + (message[from + 2] << 8 | message[from + 3]);
        if (whole > length - from) break;
        if (type == 1024) fprintf(stderr, "oldchrony: record 1024 %s%s\n", which, out ? ", and taken out" : "");
        if (type != 1024 || !out) {
            memmove(message + to, message + from, whole);
            to += whole;
        }
        from += whole;
    }
    memmove(message + to, message + from, length - from);
    return to + (length - from);
}

static int mode(const char *name) {
    const char *set = getenv("OLDCHRONY");
    return set && !strcmp(set, name);
}

ssize_t gnutls_record_send(void *session, const void *data, size_t length) {
    static ssize_t (*real)(void *, const void *, size_t);
    unsigned char copy[16384];
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_send");
    if (length > sizeof copy) return real(session, data, length);
    memcpy(copy, data, length);
    size_t left = without(copy, length, "sent", mode("both") || mode("sent"));
    ssize_t sent = real(session, copy, left);
    /* A message is short enough to go as a whole. */
    return sent == (ssize_t)left ? (ssize_t)length : sent;
}

ssize_t gnutls_record_recv(void *session, void *data, size_t length) {
    static ssize_t (*real)(void *, void *, size_t);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "gnutls_record_recv");
    ssize_t received = real(session, data, length);
    return received > 0 ? (ssize_t)without(data, received, "received", mode("both")) : received;
}
