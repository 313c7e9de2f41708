import Glibc

/// One process at a time: an `flock`, which the kernel drops with the process that holds it.
struct DirectoryLock: ~Copyable {
    private let descriptor: Int32

    /// Waits for the lock until `patience` is over or `signal` is raised.
    init(
        _ path: String, patience: Duration, unless signal: Signal
    ) throws(EmbeddedServerError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw EmbeddedServerError(errno: errno, "opening \(path)") }
        let deadline = ContinuousClock.now + patience
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let failed = errno
            guard failed == EWOULDBLOCK || failed == EINTR else {
                close(descriptor)
                throw EmbeddedServerError(errno: failed, "locking \(path)")
            }
            if signal.waitUntilRaised(timeout: .milliseconds(20)) || ContinuousClock.now > deadline
            {
                close(descriptor)
                throw EmbeddedServerError(
                    "Another ledger holds \(path). Wait for it to start or stop, and try again.")
            }
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }
}

/// The process that stops the server in the end, as `owner.pid` records it.
enum Ownership {
    /// Records this process, unless the one that is recorded still runs.
    static func claim(_ path: String) throws(EmbeddedServerError) -> Bool {
        if let text = FileSystem.read(path) {
            let fields = text.split { $0 == " " || $0 == "\n" }
            if fields.count == 2, let pid = pid_t(fields[0]), let started = UInt64(fields[1]),
                ProcessTable.startTime(pid) == started
            {
                return false
            }
        }
        let started = ProcessTable.startTime(getpid()) ?? 0
        try FileSystem.write("\(getpid()) \(started)\n", to: path)
        return true
    }

    static func release(_ path: String) {
        // Should it stay, it names a process that has ended, and the next one takes over.
        unlink(path)
    }
}
