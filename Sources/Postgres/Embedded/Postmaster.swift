import CPostgres
import Glibc

/// A running PostgreSQL, ours by birth or found.
struct Postmaster: Sendable {
    let pid: pid_t

    /// The one that `postmaster.pid` names, if it runs on this very cluster.
    ///
    /// The number alone proves nothing: after a crash another program may have it.
    static func running(on cluster: String) -> Postmaster? {
        guard let text = FileSystem.read(cluster + "/postmaster.pid"),
            let line = text.split(separator: "\n").first, let pid = pid_t(line),
            ProcessTable.isRunning(pid), FileSystem.link("/proc/\(pid)/cwd") == cluster
        else { return nil }
        return Postmaster(pid: pid)
    }

    static func spawn(
        _ binaries: PostgresBinaries, _ paths: ClusterPaths, _ account: ServerAccount,
        _ settings: [String]
    ) throws(EmbeddedServerError) -> Postmaster {
        try account.createPrivateDirectory(paths.socketDirectory)
        rotateLog(paths.log)
        var command = account.commandPrefix + [binaries.postgres, "-D", paths.cluster]
        let directory = "unix_socket_directories=\(paths.socketDirectory)"
        for setting in usualSettings + settings + [directory] {
            command += ["-c", setting]
        }
        let pid = try ChildProcess.spawn(command, output: .append(paths.log))
        return Postmaster(pid: pid)
    }

    private static let usualSettings = [
        "listen_addresses=", "port=\(ClusterPaths.port)", "unix_socket_permissions=0700",
        "max_connections=64", "shared_buffers=256MB", "maintenance_work_mem=128MB",
        "max_wal_size=2GB", "wal_compression=on", "checkpoint_timeout=15min", "jit=off",
        "autovacuum=on", "timezone=UTC", "log_timezone=UTC", "log_destination=stderr",
        "logging_collector=off", "log_checkpoints=off", "log_line_prefix=%m [%p] ",
        "cluster_name=ledger",
    ]

    private static let logBytesMax = 16 << 20

    /// Keeps one earlier log, so that the two together stay small.
    private static func rotateLog(_ path: String) {
        guard let status = FileSystem.status(path), status.st_size > logBytesMax else { return }
        // A log that cannot be moved just grows on.
        rename(path, path + ".1")
    }
}

// MARK: Life and death

extension Postmaster {
    /// How it ended, or nil while it runs.
    func ending() -> String? {
        var status: Int32 = 0
        switch waitpid(pid, &status, WNOHANG) {
        case pid: return ChildProcess.describe(status: status)
        case 0: return nil
        // Not a child of this process: another ledger started it.
        default: return ProcessTable.isRunning(pid) ? nil : "ended"
        }
    }

    /// Waits for the end until the deadline or the signal; nil if it still runs then.
    func waitForEnd(
        until deadline: ContinuousClock.Instant? = nil, unless signal: Signal? = nil
    ) -> String? {
        let descriptor = ledger_pidfd_open(pid)
        defer { if descriptor >= 0 { close(descriptor) } }
        // Kernels before 5.3 cannot tell, so it is asked now and then.
        let interval: Duration = descriptor >= 0 ? .seconds(60) : .milliseconds(100)
        while true {
            if let ending = ending() { return ending }
            let now = ContinuousClock.now
            if let deadline, now >= deadline { return nil }
            var descriptors = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signal?.descriptor ?? -1, events: Int16(POLLIN), revents: 0),
            ]
            _ = Poll.wait(&descriptors, until: min(deadline ?? now + interval, now + interval))
            if descriptors[1].revents != 0 { return nil }
        }
    }

    /// Waits until it accepts connections; crash recovery may take minutes.
    func waitUntilReady(
        _ paths: ClusterPaths, unless signal: Signal, report: (String) -> Void
    ) throws(EmbeddedServerError) {
        let started = ContinuousClock.now
        var reported = started
        while true {
            let refusal: PostgresError
            do {
                try Connection(
                    paths.conninfo(database: "postgres"), applicationName: "ledger-start",
                    timeout: .seconds(5)
                ).close()
                return
            } catch {
                refusal = error
            }
            if let ending = ending() {
                throw EmbeddedServerError(
                    "PostgreSQL did not start (\(ending)); its log is \(paths.log)",
                    log: FileSystem.tail(paths.log))
            }
            let now = ContinuousClock.now
            guard now - started < .seconds(600) else {
                throw EmbeddedServerError(
                    "PostgreSQL (process \(pid)) does not answer: \(refusal.message)",
                    log: FileSystem.tail(paths.log))
            }
            if now - reported > .seconds(10) {
                reported = now
                report("waiting for PostgreSQL: \(refusal.message)")
            }
            if signal.waitUntilRaised(timeout: .milliseconds(20)) {
                throw EmbeddedServerError("stopped while PostgreSQL was starting")
            }
        }
    }

    /// Ends it: connections are cut, transactions rolled back, everything written out.
    func shutDown(report: (String) -> Void) {
        kill(pid, SIGINT)
        if waitForEnd(until: .now + .seconds(60)) != nil { return }
        report("PostgreSQL did not shut down within a minute: it is made to, and will recover")
        kill(pid, SIGQUIT)
        if waitForEnd(until: .now + .seconds(10)) == nil {
            report("PostgreSQL (process \(pid)) still runs")
        }
    }
}
