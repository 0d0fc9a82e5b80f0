/* A disk that fails, by LD_PRELOAD: it counts what a process writes to the files of one directory, makes a chosen call
 * fail, and ends the process at a chosen one, as kill -9 or as a loss of power does.
 *
 * DISK_DIR     the directory; files whose names end in -shm are counted and never undone, since nobody keeps them
 * DISK_COUNTS  a file of eight 64-bit numbers that it keeps up to date: calls, syncs, failures made, kills made
 * DISK_PLAN    words with blanks between:
 *   kill=N:HOW:SEED       ends the process at the N-th call. HOW: before it, after it, torn (half a write is done), or
 *                         power (what was not synced is lost in part, by the seed)
 *   fail=N:COUNT:ERROR:OF fails COUNT calls from the N-th on; there may be 64 of these. ERROR: EIO, ENOSPC, EROFS, or SHORT (half a write is done,
 *                         and said so; a sync fails with EIO). OF: all, or syncs (then only syncs are failed)
 *   power=SEED            SIGUSR2 is a loss of power
 *
 * What a failed sync was to make durable is lost with the power, whatever sync succeeds later: so do kernels. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CALLS, SYNCS, FAILED, KILLED, COUNTS = 8 };
enum how { NEVER, BEFORE, AFTER, TORN, POWER };
enum state { UNSYNCED, SYNCED, LOST };
#define SECTOR 512

/* A change of a file, and what undoes it. */
struct change {
    struct change *next, *before;
    char path[512];
    ino_t inode;
    enum state state;
    int is_truncate;
    off_t offset, old_size;
    size_t length, old_length;
    char *old, *new;
};

static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_fsync)(int), (*real_fdatasync)(int), (*real_ftruncate)(int, off64_t);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char dir[512];
static uint64_t none[COUNTS], *counts = none;
static uint64_t kill_at, seed;
static struct fail { uint64_t at, count; int error, syncs_only; } fails[64];
static size_t fails_count;
static int keeps_changes;
static enum how how = NEVER;
static struct change *first, *last;

static uint64_t dice(void) {
    seed += 0x9E3779B97F4A7C15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void end(void) {
    counts[KILLED]++;
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Opens the changed file, if it is still that one. */
static int reopen(const struct change *c) {
    struct stat status;
    int fd = open(c->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return -1;
    if (fstat(fd, &status) == 0 && status.st_ino == c->inode) return fd;
    close(fd);
    return -1;
}

/* All but what is durable is undone, and part of it done again. */
static void lose_power(void) {
    for (struct change *c = last; c; c = c->before) {
        int fd = reopen(c);
        if (fd < 0) continue;
        if (real_pwrite(fd, c->old, c->old_length, c->offset) < 0 || real_ftruncate(fd, c->old_size) < 0) abort();
        close(fd);
    }
    for (struct change *c = first; c; c = c->next) {
        int kept = c->state == SYNCED ? 2 : c->state == LOST ? 0 : (int)(dice() % 3);
        int fd = reopen(c);
        if (fd < 0) continue;
        if (c->is_truncate) {
            if (kept && real_ftruncate(fd, c->offset) < 0) abort();
        } else if (kept) {
            for (size_t at = 0; at < c->length;) {
                size_t sector = SECTOR - (size_t)((c->offset + (off_t)at) % SECTOR);
                if (sector > c->length - at) sector = c->length - at;
                if (kept == 2 || dice() % 2)
                    if (real_pwrite(fd, c->new + at, sector, c->offset + (off_t)at) < 0) abort();
                at += sector;
            }
        }
        close(fd);
    }
    end();
}

static void on_signal(int number) {
    (void)number;
    pthread_mutex_lock(&lock);
    lose_power();
}

static void hold(sigset_t *before) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
    pthread_mutex_lock(&lock);
}

static void release(const sigset_t *before) {
    int saved = errno;
    pthread_mutex_unlock(&lock);
    pthread_sigmask(SIG_SETMASK, before, NULL);
    errno = saved;
}

static void plan(char *words) {
    for (char *rest = NULL, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char one[16] = "", other[16] = "";
        unsigned long long n = 0, m = 0;
        if (sscanf(word, "kill=%llu:%15[a-z]:%llu", &n, one, &m) == 3) {
            kill_at = n, seed = m;
            how = !strcmp(one, "before") ? BEFORE : !strcmp(one, "after") ? AFTER : !strcmp(one, "torn") ? TORN : POWER;
            keeps_changes |= how == POWER;
        } else if (sscanf(word, "fail=%llu:%llu:%15[A-Z]:%15[a-z]", &n, &m, one, other) == 4) {
            if (fails_count == sizeof fails / sizeof *fails) abort();
            int error = !strcmp(one, "ENOSPC") ? ENOSPC : !strcmp(one, "EROFS") ? EROFS : !strcmp(one, "SHORT") ? 0 : EIO;
            fails[fails_count++] = (struct fail){n, m, error, !strcmp(other, "syncs")};
        } else if (sscanf(word, "power=%llu", &m) == 1) {
            seed = m, keeps_changes = 1;
            signal(SIGUSR2, on_signal);
        } else {
            fprintf(stderr, "shim: unknown plan %s\n", word);
            abort();
        }
    }
}

__attribute__((constructor)) static void start(void) {
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    const char *where = getenv("DISK_DIR"), *file = getenv("DISK_COUNTS"), *words = getenv("DISK_PLAN");
    if (where) snprintf(dir, sizeof dir, "%s", where);
    int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && real_ftruncate(fd, sizeof none) == 0) {
        void *shared = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) counts = shared;
    }
    if (fd >= 0) close(fd);
    if (words) plan(strdup(words));
}

/* Whether it is a file of the directory; its path. */
static int is_ours(int fd, char path[512]) {
    char link[32];
    if (!dir[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int saved = errno;
    ssize_t length = readlink(link, path, 511);
    errno = saved;
    if (length < 0) return 0;
    path[length] = 0;
    size_t own = strlen(dir);
    return !strncmp(path, dir, own) && (path[own] == '/' || !path[own]);
}

static int is_kept(const char *path) {
    size_t length = strlen(path);
    return length < 4 || strcmp(path + length - 4, "-shm");
}

/* Notes what is about to change; NULL where nobody will ask. */
static struct change *note(int fd, const char *path, int is_truncate, const void *octets, size_t length, off_t offset) {
    struct stat status;
    if (!keeps_changes || !is_kept(path) || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) return NULL;
    struct change *c = calloc(1, sizeof *c);
    snprintf(c->path, sizeof c->path, "%s", path);
    c->inode = status.st_ino, c->is_truncate = is_truncate, c->offset = offset, c->length = length;
    c->old_size = status.st_size;
    size_t behind = status.st_size > offset ? (size_t)(status.st_size - offset) : 0;
    c->old_length = is_truncate || behind < length ? behind : length;
    c->old = malloc(c->old_length + 1), c->new = malloc(length + 1);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader < 0 || pread64(reader, c->old, c->old_length, offset) != (ssize_t)c->old_length) abort();
    close(reader);
    if (octets) memcpy(c->new, octets, length);
    c->before = last;
    if (last) last->next = c; else first = c;
    return last = c;
}

/* A sync of a file: what was written before is durable, or, if it failed, never will be. */
static void synced(int fd, enum state state) {
    struct stat status;
    if (!keeps_changes || fstat(fd, &status) < 0) return;
    int lost = 0;
    for (struct change *c = first; c; c = c->next) {
        if (c->inode != status.st_ino) continue;
        if (c->state == UNSYNCED) c->state = state;
        lost |= c->state == LOST;
    }
    for (struct change *c = first, *next; c && !lost; c = next) {
        next = c->next;
        if (c->inode != status.st_ino) continue;
        *(c->before ? &c->before->next : &first) = c->next;
        *(c->next ? &c->next->before : &last) = c->before;
        free(c->old), free(c->new), free(c);
    }
}

/* How this call fails; NULL if it does not. */
static const struct fail *fail(uint64_t call, int is_sync) {
    for (const struct fail *f = fails; f < fails + fails_count; f++)
        if (call >= f->at && call - f->at < f->count && (is_sync || !f->syncs_only)) return f;
    return NULL;
}

static ssize_t do_write(int fd, const void *octets, size_t length, off64_t offset, int is_at) {
    return is_at ? real_pwrite(fd, octets, length, offset) : real_write(fd, octets, length);
}

static ssize_t written(int fd, const void *octets, size_t length, off64_t offset, int is_at) {
    char path[512];
    if (!is_ours(fd, path)) return do_write(fd, octets, length, offset, is_at);
    sigset_t before;
    hold(&before);
    uint64_t call = ++counts[CALLS];
    int is_last = how != NEVER && call == kill_at;
    if (is_last && how == BEFORE) end();
    size_t wanted = length;
    if (is_last && how == TORN) wanted = length / 2;
    ssize_t done = -1;
    const struct fail *f = fail(call, 0);
    if (f) {
        counts[FAILED]++;
        if (f->error == 0 && length > 1) wanted = length / 2;
        else wanted = 0, errno = f->error ? f->error : EIO;
    }
    if (wanted) {
        off64_t at = is_at ? offset : lseek64(fd, 0, SEEK_CUR);
        note(fd, path, 0, octets, wanted, at);
        done = do_write(fd, octets, wanted, offset, is_at);
    }
    if (is_last) {
        if (how == POWER) lose_power();
        end();
    }
    release(&before);
    return done;
}

static int changed(int fd, int is_sync, int (*call_sync)(int), off64_t size) {
    char path[512];
    if (!is_ours(fd, path)) return is_sync ? call_sync(fd) : real_ftruncate(fd, size);
    sigset_t before;
    hold(&before);
    uint64_t call = ++counts[CALLS];
    counts[SYNCS] += (uint64_t)is_sync;
    int is_last = how != NEVER && call == kill_at;
    /* The power goes before a sync has done anything. */
    if (is_last && how == POWER) lose_power();
    if (is_last && how != AFTER) end();
    int done;
    const struct fail *f = fail(call, is_sync);
    if (f) {
        counts[FAILED]++;
        if (is_sync) synced(fd, LOST);
        errno = f->error ? f->error : EIO;
        done = -1;
    } else if (is_sync) {
        done = call_sync(fd);
        synced(fd, SYNCED);
    } else {
        note(fd, path, 1, NULL, 0, size);
        done = real_ftruncate(fd, size);
    }
    if (is_last) end();
    release(&before);
    return done;
}

ssize_t pwrite64(int fd, const void *octets, size_t length, off64_t offset) { return written(fd, octets, length, offset, 1); }
ssize_t pwrite(int fd, const void *octets, size_t length, off_t offset) { return written(fd, octets, length, offset, 1); }
ssize_t write(int fd, const void *octets, size_t length) { return written(fd, octets, length, 0, 0); }
int fsync(int fd) { return changed(fd, 1, real_fsync, 0); }
int fdatasync(int fd) { return changed(fd, 1, real_fdatasync, 0); }
int ftruncate64(int fd, off64_t size) { return changed(fd, 0, NULL, size); }
int ftruncate(int fd, off_t size) { return changed(fd, 0, NULL, size); }
