import Domain
import Logging
import Postgres
import Secrets
import Synchronization
import Telemetry

/// Another process writes to this database.
package struct AlreadyLedError: Error, Sendable, CustomStringConvertible {
    package var description: String {
        "Another ledger leads this database (it holds the leader's lock). Stop it, or send requests "
            + "to it with --url."
    }

    package init() {}
}

/// The database is a follower's: what is recorded comes from the ledger that it follows.
package struct FollowerDatabaseError: Error, Sendable, CustomStringConvertible {
    /// Where that is reached.
    package let source: String

    package var description: String {
        "This database follows \(source) and takes no events of its own. Go on following: `ledger "
            + "follow --from \(source)`; or, where that ledger is gone for good, make this one its "
            + "successor: `ledger promote`."
    }
}

/// The log of one database: append through it where this node leads, read from it, follow it.
package final class EventLog: Sendable {
    package let view: LedgerView
    package let sequencer: Sequencer
    package let reader: EventReader
    private let recall = Mutex(RecallPolicy())
    /// Nil on a node that can't tell sealed subjects apart.
    let subjectKeys: SubjectKeys?
    /// Whether no leader can be asked for what this node does not know.
    private let isFollower: Bool

    private init(
        view: LedgerView, sequencer: Sequencer, reader: EventReader, subjectKeys: SubjectKeys?,
        isFollower: Bool
    ) {
        self.subjectKeys = subjectKeys
        self.isFollower = isFollower
        self.view = view
        self.sequencer = sequencer
        self.reader = reader
    }

    /// Of the last event known: the term of the node that leads.
    package var epoch: Int64 { view.head.epoch }

    /// Whether this node appends; another's events are only read here.
    package var isLeading: Bool { sequencer.isLeading }

    /// Throws where a node must not lead, over the session that holds the leader's lock.
    package typealias Admission = @Sendable (Connection) throws -> Void

    /// Becomes the leader of the database, which nobody else may lead now.
    ///
    /// Without `secrets` it can't tell sealed subjects apart. Waits up to `patience` for the session
    /// of a leader that has just died to end.
    package static func lead(
        conninfo: String, readers: Int = 2, metrics: LedgerMetrics, logger: Logger,
        secrets: SecretBox? = nil, patience: Duration = .seconds(10),
        admission: Admission = { _ in }
    ) throws -> EventLog {
        let connection = try Leadership.connect(conninfo)
        try Migrations.apply(connection)
        try Leadership.refuseFollower(connection)
        let deadline = ContinuousClock.now + patience
        let pause = Signal()
        while try !Leadership.tryLead(connection) {
            guard ContinuousClock.now < deadline else { throw AlreadyLedError() }
            _ = pause.wait(timeout: .milliseconds(50))
        }
        _ = try Head.beginEpoch(connection)
        let log = try open(
            connection, conninfo: conninfo, readers: readers, metrics: metrics, logger: logger,
            secrets: secrets)
        let sequencer = log.sequencer
        let tiles = try Tiles.open(at: log.view.head, connection, logger)
        try admission(connection)
        // From here on the connection is the thread's alone.
        let thread = SequencerThread(
            sequencer: sequencer, connection: connection,
            core: SequencerCore(
                head: log.view.head, state: log.view.snapshot.state,
                tiles: tiles))
        sequencer.beginLeading()
        sequencer.start { thread.run() }
        return log
    }

    /// Reads a database along, without appending to it; ``join(url:)`` makes it a node of its own.
    ///
    /// - Parameter isFollower: whether the log is another ledger's, which is stored here by others.
    package static func open(
        conninfo: String, readers: Int = 2, metrics: LedgerMetrics, logger: Logger,
        secrets: SecretBox? = nil, isFollower: Bool = false
    ) throws -> EventLog {
        let connection = try Leadership.connect(conninfo)
        defer { connection.close() }
        try Migrations.apply(connection)
        if !isFollower { try Leadership.refuseFollower(connection) }
        return try open(
            connection, conninfo: conninfo, readers: readers, metrics: metrics, logger: logger,
            secrets: secrets, isFollower: isFollower)
    }

    /// Folds the state up to the head.
    private static func open(
        _ connection: Connection, conninfo: String, readers: Int, metrics: LedgerMetrics,
        logger: Logger, secrets: SecretBox?, isFollower: Bool = false
    ) throws -> EventLog {
        if let secrets { try SubjectKeys.check(secrets, connection) }
        let head = try Head.read(connection)
        let view = LedgerView()
        view.publish(try EventReader.state(through: head.position, connection), head)
        metrics.headPosition.set(Double(head.position))
        metrics.epoch.set(Double(head.epoch))
        let pool = ConnectionPool(conninfo: conninfo, size: readers, name: "ledger reader") {
            connection throws(PostgresError) in
            // To compile a query that reads a few rows by an index takes longer than to run it.
            try connection.execute("SET jit = off")
        }
        return EventLog(
            view: view,
            sequencer: Sequencer(
                view: view, conninfo: conninfo, metrics: metrics, logger: logger),
            reader: EventReader(pool: pool),
            subjectKeys: secrets.map { SubjectKeys($0, pool: pool) }, isFollower: isFollower)
    }

    /// Takes part in the leadership of the database: this node leads when no other does, and until
    /// then keeps close behind the one that leads.
    ///
    /// - Parameters:
    ///   - url: where the other nodes reach this one.
    ///   - admission: is asked each time before this node leads.
    package func join(url: String, admission: @escaping Admission = { _ in }) {
        let node = NodeThread(sequencer: sequencer, url: url, admission: admission)
        sequencer.start { node.run() }
    }

    // MARK: Variants

    /// Get-or-create, or read only; the fast way where nothing has to be decided.
    package func assign(
        _ experiment: ResourceID, _ subjects: [String], context: CommandContext
    ) async throws -> Receipt {
        if context.idempotency == nil,
            let settled = try await recalled(
                {
                    view.settled(experiment, subjects)
                }, view.plainUnits(experiment, subjects))
        {
            sequencer.metrics.cacheHits.increment(by: subjects.count)
            var receipt = Receipt()
            receipt.assignments = settled
            receipt.position = view.position
            return receipt
        }
        if view.sealsSubjects, let sealed = try await assignSealed(experiment, subjects, context) {
            return sealed
        }
        return try await sequencer.submit(.assign(experiment, subjects: subjects), context)
    }

    /// Gets or creates a run's variant; the fast way where it has one.
    package func select(
        _ request: SelectionRequest, context: CommandContext
    ) async throws -> Receipt {
        let key = request.key
        if context.idempotency == nil,
            let placement = try await recalled({ view.memoized(key) }, [key])
        {
            sequencer.metrics.cacheHits.increment()
            var receipt = Receipt()
            receipt.selection = SelectionAnswer(
                key: key, placement: placement, isMemoized: true)
            receipt.position = view.position
            return receipt
        }
        return try await sequencer.submit(.select(request), context)
    }

    /// What the view knows of units; a node that does not lead reads it from the log if need be,
    /// unless that has found nothing for a while: then the leader is asked at once.
    func recalled<T>(_ known: () -> T?, _ keys: @autoclosure () -> [UnitKey]) async throws
        -> T?
    {
        if let known = known() { return known }
        guard !isLeading, isFollower || recall.withLock({ $0.looksUp() }) else { return nil }
        var found: [UnitKey: Placement] = [:]
        let missing = view.cached(keys(), into: &found)
        guard !missing.isEmpty else { return nil }
        let looked = try await reader.placements(missing)
        recall.withLock { $0.lookedUp(found: looked.count) }
        view.remember(looked.known(at: view.position))
        return known()
    }

    /// A subject's place in a managed experiment that is asked for.
    package typealias Question = (experiment: ResourceID, subject: String)

    /// The variants that subjects have at the position that is known here, without giving any a new
    /// one.
    package func assignments(
        _ asked: [Question]
    ) async throws -> (answers: [AssignmentAnswer], position: Int64) {
        let (state, position) = view.snapshot
        let active = asked.filter { state.experiments[$0.experiment]?.status == .active }
        let names = try await sealedNames(of: active, state)
        var found: [UnitKey: Placement] = [:]
        let missing = view.cached(active.compactMap(names.unit), into: &found)
        if !missing.isEmpty {
            let looked = try await reader.placements(missing).known(at: position)
            view.remember(looked)
            found.merge(looked) { cached, _ in cached }
        }
        // An answer shows the log at one position, and what was cached may have come since.
        let answers = state.answers(
            to: asked, names, existing: found.known(at: position), position: position)
        return (answers, position)
    }

    /// The variants that subjects had at a position.
    package func assignments(
        _ asked: [Question], asOf position: Int64
    ) async throws -> [AssignmentAnswer] {
        let state = try await reader.state(at: position)
        let names = try await sealedNames(of: asked, state)
        let found = try await reader.placements(
            asked.compactMap(names.unit), through: position)
        return state.answers(to: asked, names, existing: found, position: position)
    }

    // MARK: Upkeep

    /// Forgets the answers to requests that are older than their keys are kept.
    package func forgetOldAnswers() async throws {
        let oldest = Timestamp.now.microseconds - Int64(Limits.idempotencyDays) * 86_400_000_000
        try await reader.pool.run(readOnly: false) { connection in
            _ = try connection.query(
                "DELETE FROM ledger.idempotency WHERE key LIKE 'key/%' AND recorded_at < $1",
                [.timestamp(microseconds: oldest)])
        }
    }

    /// Says that the end is near: feeds end, and nothing waits long for an absent database.
    package func beginStopping() {
        sequencer.beginStopping()
        view.beginClosing()
    }

    /// Answers what was accepted, then lets go of the database.
    package func stop() {
        sequencer.stop()
        view.beginClosing()
        reader.pool.shutdown()
    }
}

extension [UnitKey: Placement] {
    /// Those that were there at a position; the database may be ahead of what is known here.
    fileprivate func known(at position: Int64) -> Self {
        allSatisfy { $0.value.position <= position }
            ? self : filter { $0.value.position <= position }
    }
}

extension State {
    /// The answers to reading assignments.
    fileprivate func answers(
        to asked: [EventLog.Question], _ names: SealedNames, existing: [UnitKey: Placement],
        position: Int64
    ) -> [AssignmentAnswer] {
        asked.map { id, subject in
            guard let experiment = experiments[id] else {
                return AssignmentAnswer(
                    experiment: id, subject: subject, reason: .notFound, position: position)
            }
            let placement = names.unit((id, subject)).flatMap { existing[$0] }
            return experiment.answer(to: subject, existing: placement)
                ?? AssignmentAnswer(
                    experiment: id, subject: subject, reason: .notAssigned, position: position)
        }
    }
}
