//! Which system calls each half may make, or may not, where no argument matters. Those whose arguments matter are rules in
//! `calls.rs`.
//!
//! Apart because they are read as lists. The front's is from tracing one under load, a reload, bad clients and an orderly
//! end, and from what the C library may choose instead.

/// What the front may call.
#[rustfmt::skip]
pub(super) const FRONT: [&str; 108] = [
    "read", "write", "readv", "writev", "pread64", "recvfrom", "recvmsg", "sendto", "sendmsg", "shutdown",
    "close", "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername", "setsockopt",
    "getsockopt", "socketpair", "pipe2", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
    "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime", "poll", "ppoll", "select", "pselect6",
    "futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "membarrier", "set_tid_address",
    "nanosleep", "clock_nanosleep", "clock_gettime", "clock_getres", "gettimeofday", "time", "times",
    "sched_yield", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "getcpu", "getpid",
    "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "getresuid", "getresgid",
    "getpgrp", "getpgid", "getsid", "capget", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigpending", "rt_sigtimedwait", "sigaltstack", "restart_syscall", "munmap", "mremap", "madvise",
    "brk", "mincore", "open", "openat", "newfstatat", "fstat", "stat", "lstat", "statx", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "lseek", "fadvise64", "fcntl", "dup",
    "dup2", "dup3", "getcwd", "statfs", "fstatfs", "uname", "sysinfo", "getrandom", "getrlimit",
    "getrusage", "exit", "exit_group",
];

/// What a keeper needs besides, where it has a list of what it may: writing files, locks, and what modules use.
#[rustfmt::skip]
pub(super) const FEW_OF_THE_KEEPER: [&str; 84] = [
    "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "fsync", "fdatasync", "sync_file_range",
    "ftruncate", "truncate", "fallocate", "flock", "umask", "rename", "renameat", "renameat2", "unlink",
    "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "link", "linkat",
    "symlink", "symlinkat", "copy_file_range", "sendfile", "msync", "mlock", "munlock", "mlock2",
    "mlockall", "munlockall", "openat2", "creat", "pipe", "epoll_create", "eventfd", "memfd_create",
    "memfd_secret", "fchown", "fchownat", "chown", "lchown", "fgetxattr", "getxattr", "lgetxattr", "chdir",
    "fchdir", "timerfd_gettime", "timer_create", "timer_settime", "timer_delete", "getitimer", "setitimer",
    "alarm", "wait4", "waitid", "pause", "sched_setaffinity", "sched_get_priority_max",
    "sched_get_priority_min", "semget", "semop", "semctl", "semtimedop", "shmget", "shmat", "shmdt",
    "shmctl", "getpriority", "ioprio_get", "get_mempolicy", "sched_getattr", "getdents", "signalfd4",
    "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "fchmodat2",
];

/// What no keeper may call: to run or look into other processes, to change what it may, and what no key service needs of
/// a kernel.
#[rustfmt::skip]
pub(super) const DENIED: [&str; 87] = [
    "execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "process_mrelease", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "kcmp",
    "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "fsopen", "fsmount", "fsconfig",
    "fspick", "move_mount", "open_tree", "mount_setattr", "open_by_handle_at", "name_to_handle_at",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon",
    "swapoff", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter",
    "io_uring_register", "keyctl", "add_key", "request_key", "setuid", "setgid", "setreuid", "setregid",
    "setresuid", "setresgid", "setfsuid", "setfsgid", "setgroups", "capset", "personality", "acct",
    "quotactl", "quotactl_fd", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname",
    "setdomainname", "iopl", "ioperm", "modify_ldt", "syslog", "vhangup", "mknod", "mknodat", "setrlimit",
    "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "uselib", "ustat", "sysfs", "lookup_dcookie",
    "fanotify_init", "migrate_pages", "move_pages", "landlock_create_ruleset", "landlock_add_rule",
    "landlock_restrict_self", "seccomp",
];
