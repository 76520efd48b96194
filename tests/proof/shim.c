/* A disk that fails at one call: counts the writes, syncs, renames and new files of a process in one
 * folder, and fails the one whose number it is given.
 *
 * Preloaded by the proofs of a failing store into the real binary, so that the program itself holds
 * no line of test code.
 *
 *   SHIM_FOLDER  only files below this folder count
 *   SHIM_FAIL    the number of the call that fails, from 1; 0 for none
 *   SHIM_ERRNO   with which error
 *   SHIM_STAYS   1: every later call fails as well, as on a disk that stays full
 *   SHIM_COUNT   where the number of calls is written when the process ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

static atomic_long calls;

static long number(const char *name) {
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : 0;
}

static int below(const char *path) {
    const char *folder = getenv("SHIM_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static int below_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

/* Whether this call is the one. */
static int fails(void) {
    long call = atomic_fetch_add(&calls, 1) + 1, fail = number("SHIM_FAIL");
    if (fail == 0 || call < fail || (call > fail && !number("SHIM_STAYS"))) return 0;
    errno = (int)number("SHIM_ERRNO");
    return 1;
}

/* The C library's own function of this name. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return below_fd(fd) && fails() ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return below_fd(fd) && fails() ? -1 : REAL(fdatasync)(fd); }

int ftruncate64(int fd, off64_t length) {
    return below_fd(fd) && fails() ? -1 : REAL(ftruncate64)(fd, length);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    return below_fd(fd) && fails() ? -1 : REAL(write)(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    return below_fd(fd) && fails() ? -1 : REAL(pwrite64)(fd, bytes, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return below_fd(fd) && fails() ? -1 : REAL(writev)(fd, parts, count);
}

#define OPEN(name)                                                                \
    int name(const char *path, int flags, ...) {                                  \
        va_list rest;                                                             \
        va_start(rest, flags);                                                    \
        int creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;      \
        mode_t mode = creates ? va_arg(rest, mode_t) : 0;                         \
        va_end(rest);                                                             \
        return creates && below(path) && fails() ? -1 : REAL(name)(path, flags, mode); \
    }

OPEN(open)
OPEN(open64)

/* Renames go round the C library, so the kernel is asked to trap them. The handler does them itself,
 * under a mark that is let through. */
#ifdef __x86_64__
#define MARK 0x5eed

static void trapped(int signal, siginfo_t *info, void *context) {
    (void)signal;
    int before = errno;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    greg_t first = registers[REG_RDI], second = registers[REG_RSI];
    int plain = info->si_syscall == SYS_rename;
    const char *from = (const char *)(plain ? first : second);
    const char *to = (const char *)(plain ? second : registers[REG_R10]);
    int from_folder = plain ? AT_FDCWD : (int)first;
    int to_folder = plain ? AT_FDCWD : (int)registers[REG_RDX];
    unsigned flags = info->si_syscall == SYS_renameat2 ? (unsigned)registers[REG_R8] : 0;
    long result = below(to) && fails()
        ? -1
        : syscall(SYS_renameat2, from_folder, from, to_folder, to, flags, MARK);
    registers[REG_RAX] = result < 0 ? -errno : result;
    errno = before;
}

__attribute__((constructor)) static void trap(void) {
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rename, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MARK, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
#endif

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("SHIM_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", atomic_load(&calls));
        fclose(file);
    }
}
