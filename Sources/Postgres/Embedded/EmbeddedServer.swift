import Glibc
import Synchronization

/// A private PostgreSQL under a directory, reached by a Unix socket only.
///
/// It is made on first use, restarted when it dies, and stopped with its owner. Should the owner
/// be killed, PostgreSQL runs on, and the next ledger on the directory attaches to it and becomes
/// its owner. Everything that changes hands does so under one lock on the directory:
///
///     <dataDirectory>/postgres      the cluster, or a link to it
///     <dataDirectory>/postgres.log  what PostgreSQL says
///     <dataDirectory>/owner.pid     the process that stops it in the end
///     <dataDirectory>/lock          held while it is made, started or stopped
package final class EmbeddedServer: Sendable {
    /// How to connect to its database.
    package let conninfo: String
    /// Whether this process stops it; if not, another one does.
    package let isOwner: Bool

    private let installation: Installation
    private let supervisor: OSThread?
    private let stopping: Signal
    private let isStopped = Mutex(false)

    private init(
        _ installation: Installation, isOwner: Bool, supervisor: OSThread?, stopping: Signal
    ) {
        self.installation = installation
        self.isOwner = isOwner
        self.supervisor = supervisor
        self.stopping = stopping
        conninfo = installation.paths.conninfo(database: Installation.database)
    }

    deinit { stop() }

    /// Starts PostgreSQL under the directory, or attaches to the one that runs there.
    ///
    /// `settings` are of the form `name=value`. `report` is told, from any thread, what happens to
    /// the server: one line each time.
    package static func start(
        dataDirectory: String, settings: [String] = [],
        report: @escaping @Sendable (String) -> Void
    ) throws(EmbeddedServerError) -> EmbeddedServer {
        let stopping = Signal()
        let directory = try ClusterPaths.createDataDirectory(dataDirectory)
        let lock = try Installation.lock(directory, unless: stopping)
        defer { withExtendedLifetime(lock) {} }
        let installation = try Installation.open(directory, settings: settings, report: report)
        let postmaster = try installation.attachOrStart(unless: stopping)
        try installation.createDatabase()
        let isOwner = try Ownership.claim(installation.paths.owner)
        let supervisor = isOwner ? installation.supervise(postmaster, until: stopping) : nil
        return EmbeddedServer(
            installation, isOwner: isOwner, supervisor: supervisor, stopping: stopping)
    }

    /// Stops PostgreSQL in order and waits for it; does nothing if another process owns it.
    package func stop() {
        let isFirst = isStopped.withLock { stopped in
            defer { stopped = true }
            return !stopped
        }
        guard isFirst, isOwner else { return }
        stopping.wake()
        supervisor?.join()
        do {
            let lock = try Installation.lock(
                installation.paths.dataDirectory, unless: Signal())
            defer { withExtendedLifetime(lock) {} }
            installation.shutDown()
        } catch {
            installation.report("PostgreSQL was not stopped: \(error)")
        }
    }
}
