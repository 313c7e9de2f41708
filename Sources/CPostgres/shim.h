#include <libpq-fe.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Macros and variadic functions that Swift cannot import. */

static const int ledger_eventfd_flags = EFD_CLOEXEC | EFD_NONBLOCK;

/* glibc shows these only under _GNU_SOURCE. */
static const short ledger_spawn_new_session = 0x80; /* POSIX_SPAWN_SETSID */
extern int pthread_setname_np(pthread_t, const char *);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *, const char *);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);

static inline int ledger_name_this_thread(const char *name) {
    return pthread_setname_np(pthread_self(), name);
}

static inline int ledger_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

static inline int ledger_spawn_in(posix_spawn_file_actions_t *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}

/* A descriptor that becomes readable when the process ends; -1 where the kernel has none. */
static inline int ledger_pidfd_open(int pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }
