/* A disk that loses its power: preloaded into a process, it takes back on abort() every write below UNSYNCED_FOLDER that no fsync or
 * fdatasync has followed. Files keep their names (SQLite syncs folders itself), and -shm files are left alone: SQLite makes them anew. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct undo {
    struct undo *older;
    dev_t device;
    ino_t inode;
    off_t size, offset;
    size_t length;
    char path[1024];
    unsigned char before[];
};

static struct undo *newest;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Remembers what stands at [offset, offset + length) of the file, and its size. The lock is held. */
static void remember(int fd, off_t offset, size_t length) {
    const char *folder = getenv("UNSYNCED_FOLDER");
    char link[64], path[1024];
    struct stat is;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t named = readlink(link, path, sizeof path - 1);
    if (!folder || named <= 0) return;
    path[named] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0 || fstat(fd, &is) != 0 || !S_ISREG(is.st_mode)) return;
    if (named > 4 && strcmp(path + named - 4, "-shm") == 0) return;
    struct undo *undo = calloc(1, sizeof *undo + length);
    undo->older = newest;
    undo->device = is.st_dev;
    undo->inode = is.st_ino;
    undo->size = is.st_size;
    undo->offset = offset;
    strcpy(undo->path, path);
    int reader = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    ssize_t there = reader < 0 ? 0 : REAL(pread)(reader, undo->before, length, offset);
    if (reader >= 0) close(reader);
    undo->length = there > 0 ? (size_t)there : 0;
    newest = undo;
}

static void synced(int fd) {
    struct stat is;
    if (fstat(fd, &is) != 0) return;
    for (struct undo **place = &newest; *place;) {
        struct undo *undo = *place;
        if (undo->device == is.st_dev && undo->inode == is.st_ino) {
            *place = undo->older;
            free(undo);
        } else {
            place = &undo->older;
        }
    }
}

#define LOCKED(result_type, before, call, after)      \
    pthread_mutex_lock(&lock);                        \
    before;                                           \
    result_type result = call;                        \
    after;                                            \
    pthread_mutex_unlock(&lock);                      \
    return result

ssize_t write(int fd, const void *bytes, size_t length) {
    LOCKED(ssize_t, remember(fd, lseek(fd, 0, SEEK_CUR), length), REAL(write)(fd, bytes, length), );
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    LOCKED(ssize_t, remember(fd, offset, length), REAL(pwrite)(fd, bytes, length, offset), );
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    LOCKED(ssize_t, remember(fd, offset, length), REAL(pwrite64)(fd, bytes, length, offset), );
}
static void remember_cut(int fd, off_t size) {
    struct stat is;
    if (fstat(fd, &is) == 0) remember(fd, size < is.st_size ? size : is.st_size, size < is.st_size ? is.st_size - size : 0);
}
int ftruncate(int fd, off_t size) { LOCKED(int, remember_cut(fd, size), REAL(ftruncate)(fd, size), ); }
int ftruncate64(int fd, off64_t size) { LOCKED(int, remember_cut(fd, size), REAL(ftruncate64)(fd, size), ); }
int fsync(int fd) { LOCKED(int, , REAL(fsync)(fd), if (result == 0) synced(fd)); }
int fdatasync(int fd) { LOCKED(int, , REAL(fdatasync)(fd), if (result == 0) synced(fd)); }

/* The power goes: nothing is written any more, and what was not synced was never written. */
void abort(void) {
    pthread_mutex_lock(&lock);
    for (struct undo *undo = newest; undo; undo = undo->older) {
        int fd = REAL(open)(undo->path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) continue;
        if (REAL(pwrite)(fd, undo->before, undo->length, undo->offset) < 0 || REAL(ftruncate)(fd, undo->size) < 0) _exit(3);
        close(fd);
    }
    _exit(99);
}
