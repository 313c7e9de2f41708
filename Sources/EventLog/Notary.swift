import Domain
import Logging
import Postgres
import Proof
import Secrets
import Synchronization

/// Why the notary does not sign; the description is for the ledger's operator.
package enum NotaryError: Error, Sendable, CustomStringConvertible {
    /// The tree contradicts what was signed, or another key has signed: nothing may be appended.
    case refused(String)
    /// Only the node that leads signs.
    case notLeading
    /// A file or the database can't be written; tried again a second later.
    case failed(String)

    package var description: String {
        switch self {
        case .refused(let reason), .failed(let reason): reason
        case .notLeading: "this node does not lead, and only the one that does signs"
        }
    }
}

/// Signs checkpoints of the log on the node that leads.
///
/// What it has signed it never contradicts. The last checkpoint is kept twice: in the database, where
/// the other nodes find it, and in a file beside the key, out of reach of those who can change the
/// database. Before a node leads, the tree must be one that extends both (``admit(_:)``).
package final class Notary: Sendable {
    private struct Contents {
        var latest: StoredCheckpoint?
        var waiters: [Waiter] = []
        var isStopped = false
    }

    private struct Waiter {
        /// Events that the checkpoint must cover.
        let size: Int64
        let continuation: CheckedContinuation<StoredCheckpoint, any Error>
    }

    package let verifierKey: VerifierKey
    private let key: SigningKey
    private let file: PrivateFile
    private let replacesKey: Bool
    private let conninfo: String
    private let logger: Logger
    private let contents = Mutex(Contents())
    private let signal = Signal()
    private let thread: Mutex<OSThread?> = Mutex(nil)

    /// - Parameters:
    ///   - file: where the last checkpoint is kept.
    ///   - replacesKey: whether checkpoints of another key may be in the database.
    package init(
        key: SigningKey, keptIn file: PrivateFile, replacesKey: Bool = false, conninfo: String,
        logger: Logger
    ) {
        self.key = key
        verifierKey = key.verifierKey
        self.file = file
        self.replacesKey = replacesKey
        self.conninfo = conninfo
        self.logger = logger
    }

    // MARK: Admission

    /// Refuses to lead a log that contradicts what was signed of it.
    ///
    /// The tiles must be complete: the tree is read from them.
    package func admit(_ connection: Connection) throws {
        let head = try Head.read(connection)
        if let stored = try checkKey(connection), stored.verifierKey == "\(verifierKey)" {
            try check(stored.note, "the database", head, connection)
        }
        if let note = try keptNote() { try check(note, file.path, head, connection) }
    }

    /// Refuses a database whose checkpoints another key has signed; gives the last of them.
    @discardableResult
    package func checkKey(_ connection: Connection) throws -> StoredCheckpoint? {
        guard let stored = try StoredCheckpoint.read(connection) else { return nil }
        guard stored.verifierKey == "\(verifierKey)" || replacesKey else {
            throw NotaryError.refused(
                "this log's checkpoints are signed by \(stored.verifierKey), and the signing key "
                    + "here is \(verifierKey). Name the log's own key with --signing-key; or, where "
                    + "it is lost, say --replace-signing-key, and tell everyone who checks this log"
            )
        }
        return stored
    }

    /// The checkpoint in the file; nil where there is none, or one of a key that was replaced.
    private func keptNote() throws -> [UInt8]? {
        let note: [UInt8]
        do throws(PrivateFileError) { note = try file.read() } catch {
            switch error {
            case .missing: return nil
            case .openToOthers(let mode):
                throw NotaryError.refused(
                    "others can use \(file.path) (mode \(String(mode, radix: 8))): run chmod 600 "
                        + file.path)
            case .unusable(let reason):
                throw NotaryError.refused("\(file.path) can't be read: \(reason)")
            }
        }
        do {
            try Checkpoint(note).verify(verifierKey)
            return note
        } catch {
            if replacesKey { return nil }
            throw NotaryError.refused(
                "\(file.path) is not the last checkpoint that this key signed: \(error) "
                    + "It keeps a database that was set back from being signed anew: put the file "
                    + "back that was there, or say --replace-signing-key")
        }
    }

    /// Refuses a tree that does not extend the one of a checkpoint.
    private func check(
        _ note: [UInt8], _ place: String, _ head: Head, _ connection: Connection
    ) throws {
        let checkpoint: Checkpoint
        do {
            checkpoint = try Checkpoint(note)
            try checkpoint.verify(verifierKey)
        } catch {
            throw NotaryError.refused("the checkpoint in \(place) was changed: \(error)")
        }
        guard checkpoint.size <= head.position else {
            throw NotaryError.refused(
                "this key has signed the log with \(checkpoint.size) events (\(place)), and the "
                    + "database has only \(head.position): it was set back. Events that others hold "
                    + "proof of are missing. Restore a later state; where there is none, move the "
                    + "signing key away, so that a new one is made, and say --replace-signing-key. "
                    + "If this is another log than that one, name a key of its own with "
                    + "--signing-key")
        }
        let root = try TreeReader.root(
            size: UInt64(checkpoint.size), head: UInt64(head.position), connection)
        guard root == checkpoint.root else {
            throw NotaryError.refused(
                "the log's first \(checkpoint.size) events are not the ones that this key has signed "
                    + "(\(place)): an event was changed after the fact, and `ledger verify --since "
                    + "FILE` with that checkpoint says which. If this is another log than that one, "
                    + "name a key of its own with --signing-key")
        }
    }

    // MARK: Signing

    /// Begins to sign what the log publishes, whenever this node leads.
    package func start(_ log: EventLog) {
        thread.withLock { thread in
            thread = OSThread.start(name: "notary") { [self] in
                NotaryThread(notary: self, log: log, conninfo: conninfo).run()
            }
        }
    }

    /// Ends the thread; who waits for a checkpoint is refused.
    package func stop() {
        contents.withLock { $0.isStopped = true }
        signal.wake()
        thread.withLock { $0 }?.join()
    }

    fileprivate var isStopped: Bool { contents.withLock { $0.isStopped } }

    /// Waits until someone asks, at most for a while.
    fileprivate func pause(_ duration: Duration) { _ = signal.wait(timeout: duration) }

    /// A checkpoint that covers a size which is published; at once if there is one, otherwise as soon
    /// as one may be signed.
    package func checkpoint(covering size: Int64) async throws -> StoredCheckpoint {
        try await withCheckedThrowingContinuation { continuation in
            let answer = contents.withLock { contents -> Result<StoredCheckpoint, any Error>? in
                if contents.isStopped { return .failure(NotaryError.notLeading) }
                if let latest = contents.latest, latest.size >= size { return .success(latest) }
                contents.waiters.append(Waiter(size: size, continuation: continuation))
                return nil
            }
            if let answer { continuation.resume(with: answer) } else { signal.wake() }
        }
    }

    /// Answers those who wait for no more than this checkpoint.
    fileprivate func publish(_ checkpoint: StoredCheckpoint) {
        let served = contents.withLock { contents in
            contents.latest = checkpoint
            let served = contents.waiters.filter { $0.size <= checkpoint.size }
            contents.waiters.removeAll { $0.size <= checkpoint.size }
            return served
        }
        for waiter in served { waiter.continuation.resume(returning: checkpoint) }
    }

    /// Refuses all who wait; what was signed before is another's to show.
    fileprivate func refuse(_ error: NotaryError) {
        let waiters = contents.withLock { contents in
            if case .notLeading = error { contents.latest = nil }
            defer { contents.waiters = [] }
            return contents.waiters
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }

    /// Signs a head that is committed, and keeps the checkpoint before anyone sees it.
    fileprivate func sign(_ head: Head, _ connection: Connection) throws -> StoredCheckpoint {
        let size = head.position
        var leaves: [Digest] = []
        try LogScan.leaves(
            after: size - size % Int64(TreeGroup.width), through: size, connection
        ) { leaves.append($1) }
        guard TreeTiles(at: head.frontier, leaves: leaves) != nil else {
            throw NotaryError.refused(
                "the last \(leaves.count) events in the database are not the ones that were "
                    + "appended: `ledger verify` says which. Nothing is signed")
        }
        let checkpoint = try Checkpoint(size: size, root: head.frontier.root, signedWith: key)
        do throws(PrivateFileError) { try file.replace(with: checkpoint.bytes) } catch {
            throw NotaryError.failed("\(file.path) can't be written: \(error)")
        }
        let stored = StoredCheckpoint(
            note: checkpoint.bytes, size: size, verifierKey: "\(verifierKey)", leaves: leaves)
        try stored.write(connection)
        return stored
    }

    fileprivate func report(_ error: any Error) {
        // What PostgreSQL's absence is to the log itself, too.
        logger.log(
            level: error is PostgresError ? .warning : .error, "no checkpoint was signed",
            metadata: ["error": "\(error)"])
    }
}

/// The notary's thread: asks the schedule what to do, and does it.
private final class NotaryThread: @unchecked Sendable {
    // Everything mutable here is touched by the one thread that runs `run()`.
    private let notary: Notary
    private let log: EventLog
    private let conninfo: String
    private var connection: Connection?
    private var schedule = SigningSchedule()

    init(notary: Notary, log: EventLog, conninfo: String) {
        self.notary = notary
        self.log = log
        self.conninfo = conninfo
    }

    func run() {
        while !notary.isStopped {
            if log.isLeading {
                step()
            } else {
                schedule.forget()
                notary.refuse(.notLeading)
                notary.pause(SigningSchedule.interval)
            }
        }
        notary.refuse(.notLeading)
        connection?.close()
    }

    private func step() {
        let head = log.view.head
        switch schedule.step(head: head.position, now: .now) {
        case .rest: notary.pause(SigningSchedule.interval)
        case .wait(let duration): notary.pause(duration)
        case .sign:
            do {
                if let signed = schedule.signedSize, head.position < signed {
                    throw NotaryError.refused(
                        "the log had \(signed) events when it was last signed, and now has "
                            + "\(head.position): it was set back")
                }
                let checkpoint = try reconnecting { try notary.sign(head, $0) }
                schedule.tried(signed: checkpoint.size, now: .now)
                notary.publish(checkpoint)
            } catch {
                schedule.tried(signed: nil, now: .now)
                notary.report(error)
                notary.refuse(error as? NotaryError ?? .failed("\(error)"))
            }
        }
    }

    /// Does it once more where the connection turns out to be broken: it may have been so for long.
    private func reconnecting<T>(_ body: (Connection) throws -> T) throws -> T {
        let first = try usableConnection()
        do { return try body(first) } catch let error as PostgresError
            where error.kind == .connection
        {
            return try body(try usableConnection())
        }
    }

    private func usableConnection() throws -> Connection {
        if let connection, !connection.isBroken { return connection }
        connection?.close()
        let new = try Connection(conninfo, applicationName: "ledger notary")
        // The file beside the key is what must last; and the log's own commits never wait for this.
        try new.execute("SET synchronous_commit = off; SET client_min_messages = warning")
        connection = new
        return new
    }
}
