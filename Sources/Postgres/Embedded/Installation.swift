import Glibc

/// The programs, places and user of one embedded server, and what is done with them.
struct Installation: Sendable {
    static let database = "ledger"

    let binaries: PostgresBinaries
    let paths: ClusterPaths
    let account: ServerAccount
    /// `name=value`; these win over the settings every server is started with.
    let settings: [String]
    let report: @Sendable (String) -> Void

    /// Whoever makes, starts or stops the server holds this; making one takes seconds, recovery
    /// can take minutes.
    static func lock(
        _ directory: String, unless signal: Signal
    ) throws(EmbeddedServerError) -> DirectoryLock {
        try DirectoryLock(directory + "/lock", patience: .seconds(600), unless: signal)
    }

    /// Finds everything, and makes the cluster if there is none; the caller holds the lock.
    static func open(
        _ directory: String, settings: [String], report: @escaping @Sendable (String) -> Void
    ) throws(EmbeddedServerError) -> Installation {
        let account = try ServerAccount.current()
        let paths = try ClusterPaths.locate(
            dataDirectory: directory, account: account, report: report)
        let installation = Installation(
            binaries: try PostgresBinaries.find(clusterMajor: paths.clusterMajor), paths: paths,
            account: account, settings: settings, report: report)
        if !paths.clusterExists { try installation.createCluster() }
        return installation
    }

    private func createCluster() throws(EmbeddedServerError) {
        report("making a PostgreSQL \(binaries.major) database in \(paths.cluster)")
        let unfinished = paths.unfinishedCluster
        try FileSystem.removeTree(unfinished)
        try account.createPrivateDirectory(unfinished)
        let (status, output) = try ChildProcess.run(
            account.commandPrefix + [
                binaries.initdb, "-D", unfinished, "-E", "UTF8", "--locale=C", "-A", "trust",
                "--data-checksums", "-U", "ledger", "--no-instructions",
            ])
        guard status == 0 else {
            throw EmbeddedServerError(
                "initdb failed (\(ChildProcess.describe(status: status))) in \(unfinished)",
                log: FileSystem.tail(of: output))
        }
        try FileSystem.move(unfinished, to: paths.cluster)
        try FileSystem.sync(directory: paths.home)
    }

    /// Creates the ledger's database unless it is there.
    func createDatabase() throws(EmbeddedServerError) {
        do {
            let connection = try Connection(
                paths.conninfo(database: "postgres"), applicationName: "ledger-start")
            defer { connection.close() }
            let found = try connection.query(
                "SELECT 1 FROM pg_database WHERE datname = $1", [.text(Self.database)])
            if found.count == 0 { try connection.execute("CREATE DATABASE \(Self.database)") }
        } catch {
            throw EmbeddedServerError(
                "creating the database \(Self.database): \(error)",
                log: FileSystem.tail(paths.log))
        }
    }
}

// MARK: Starting and stopping

extension Installation {
    /// Returns a server that answers: the running one, or a new one.
    func attachOrStart(unless signal: Signal) throws(EmbeddedServerError) -> Postmaster {
        if let found = Postmaster.running(on: paths.cluster) {
            try found.waitUntilReady(paths, unless: signal, report: report)
            report("attached to the running PostgreSQL (process \(found.pid))")
            return found
        }
        let deadline = ContinuousClock.now + .seconds(20)
        var backoff = Backoff()
        while true {
            endOrphans()
            do {
                return try start(unless: signal)
            } catch {
                // Backends of a killed postmaster hold its shared memory for a moment.
                let passes = error.log?.contains("is still in use") ?? false
                guard passes, ContinuousClock.now < deadline else { throw error }
                if signal.waitUntilRaised(timeout: backoff.next()) { throw error }
            }
        }
    }

    /// Ends the backends of a postmaster that was killed.
    ///
    /// PostgreSQL does not start before the last of them is gone, and one that is busy may not
    /// notice for minutes. What they were doing is lost either way; a gentler signal would run a
    /// handler that can lock up in the middle of a busy one.
    private func endOrphans() {
        for pid in ProcessTable.working(in: paths.cluster) { kill(pid, SIGKILL) }
    }

    private func start(unless signal: Signal) throws(EmbeddedServerError) -> Postmaster {
        let postmaster = try Postmaster.spawn(binaries, paths, account, settings)
        do {
            try postmaster.waitUntilReady(paths, unless: signal, report: report)
        } catch {
            if postmaster.ending() == nil { postmaster.shutDown(report: report) }
            throw error
        }
        return postmaster
    }

    /// Stops the server and gives up the ownership; the caller holds the lock.
    func shutDown() {
        Postmaster.running(on: paths.cluster)?.shutDown(report: report)
        Ownership.release(paths.owner)
    }
}

// MARK: Supervision

extension Installation {
    /// Restarts the server whenever it ends, until the signal is raised.
    func supervise(_ postmaster: Postmaster, until signal: Signal) -> OSThread {
        OSThread.start(name: "pg-supervisor") {
            var current = postmaster
            while let ending = current.waitForEnd(unless: signal) {
                report("PostgreSQL (process \(current.pid)) is gone (\(ending)): restarting it")
                guard let next = restart(until: signal) else { return }
                report("PostgreSQL runs again (process \(next.pid))")
                current = next
            }
        }
    }

    /// Tries until the server is back; nil when the signal was raised.
    private func restart(until signal: Signal) -> Postmaster? {
        var backoff = Backoff()
        while !signal.isRaised {
            do throws(EmbeddedServerError) {
                let lock = try Self.lock(paths.dataDirectory, unless: signal)
                defer { withExtendedLifetime(lock) {} }
                return try attachOrStart(unless: signal)
            } catch {
                if signal.isRaised { return nil }
                report("PostgreSQL could not be restarted, trying again: \(error)")
            }
            _ = signal.waitUntilRaised(timeout: backoff.next())
        }
        return nil
    }
}

/// Waits that double from a tenth of a second to five seconds.
private struct Backoff {
    private var delay: Duration = .milliseconds(100)

    mutating func next() -> Duration {
        defer { delay = min(delay * 2, .seconds(5)) }
        return delay
    }
}
