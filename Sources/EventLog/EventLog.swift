import Domain
import Logging
import Postgres
import Telemetry

/// Another process writes to this database.
package struct AlreadyLedError: Error, Sendable, CustomStringConvertible {
    package var description: String {
        "Another ledger leads this database (it holds the leader's lock). Stop it, or send requests "
            + "to it with --url."
    }
}

/// The log of one database: append through it, read from it, follow it.
package final class EventLog: Sendable {
    package let view: LedgerView
    package let sequencer: Sequencer
    package let reader: EventReader
    /// Under which this node leads.
    package let epoch: Int64

    private init(view: LedgerView, sequencer: Sequencer, reader: EventReader, epoch: Int64) {
        self.epoch = epoch
        self.view = view
        self.sequencer = sequencer
        self.reader = reader
    }

    /// Brings the schema up to date, becomes the leader, folds the state, and starts the sequencer.
    ///
    /// Waits up to `patience` for the session of a leader that has just died to end.
    package static func lead(
        conninfo: String, readers: Int = 2, metrics: LedgerMetrics, logger: Logger,
        patience: Duration = .seconds(10)
    ) throws -> EventLog {
        let connection = try Leadership.connect(conninfo)
        try Migrations.apply(connection)
        let deadline = ContinuousClock.now + patience
        let pause = Signal()
        while try !Leadership.tryLead(connection) {
            guard ContinuousClock.now < deadline else { throw AlreadyLedError() }
            _ = pause.wait(timeout: .milliseconds(50))
        }
        let head = try Head.beginEpoch(connection)
        let state = try EventReader.state(through: head.position, connection)
        let view = LedgerView()
        view.publish(state, head)
        metrics.headPosition.set(Double(head.position))
        metrics.epoch.set(Double(head.epoch))
        let sequencer = Sequencer(view: view, metrics: metrics, logger: logger)
        // From here on the connection is the thread's alone.
        sequencer.start(
            SequencerThread(
                sequencer: sequencer, conninfo: conninfo, connection: connection,
                core: SequencerCore(head: head, state: state)))
        let pool = ConnectionPool(conninfo: conninfo, size: readers, name: "ledger reader")
        return EventLog(
            view: view, sequencer: sequencer, reader: EventReader(pool: pool),
            epoch: head.epoch)
    }

    // MARK: Variants

    /// Get-or-create, or read only; the fast way where nothing has to be decided.
    package func assign(
        _ experiment: ResourceID, _ subjects: [String], context: CommandContext
    ) async throws(SequencerError) -> Receipt {
        if context.idempotency == nil, let settled = view.settled(experiment, subjects) {
            sequencer.metrics.cacheHits.increment(by: subjects.count)
            var receipt = Receipt()
            receipt.assignments = settled
            receipt.position = view.position
            return receipt
        }
        return try await sequencer.submit(.assign(experiment, subjects: subjects), context)
    }

    /// Gets or creates a run's variant; the fast way where it has one.
    package func select(
        _ request: SelectionRequest, context: CommandContext
    ) async throws(SequencerError) -> Receipt {
        let key = request.key
        if context.idempotency == nil, let placement = view.memoized(key) {
            sequencer.metrics.cacheHits.increment()
            var receipt = Receipt()
            receipt.selection = SelectionAnswer(
                key: key, placement: placement, isMemoized: true)
            receipt.position = view.position
            return receipt
        }
        return try await sequencer.submit(.select(request), context)
    }

    /// A subject's place in a managed experiment that is asked for.
    package typealias Question = (experiment: ResourceID, subject: String)

    /// The variants that subjects have, without giving any a new one.
    package func assignments(_ asked: [Question]) async throws -> [AssignmentAnswer] {
        let (state, position) = view.snapshot
        let active = asked.filter { state.experiments[$0.experiment]?.status == .active }
        var found: [UnitKey: Placement] = [:]
        let missing = view.cached(Self.keys(active), into: &found)
        if !missing.isEmpty {
            let looked = try await reader.placements(missing)
            view.remember(looked)
            found.merge(looked) { cached, _ in cached }
        }
        return state.answers(to: asked, existing: found, position: position)
    }

    /// The variants that subjects had at a position.
    package func assignments(
        _ asked: [Question], asOf position: Int64
    ) async throws -> [AssignmentAnswer] {
        let state = try await reader.state(at: position)
        let found = try await reader.placements(Self.keys(asked), through: position)
        return state.answers(to: asked, existing: found, position: position)
    }

    private static func keys(_ asked: [Question]) -> [UnitKey] {
        asked.map { UnitKey(experiment: $0.experiment, subject: $0.subject) }
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

extension State {
    /// The answers to reading assignments.
    fileprivate func answers(
        to asked: [EventLog.Question], existing: [UnitKey: Placement], position: Int64
    ) -> [AssignmentAnswer] {
        asked.map { id, subject in
            guard let experiment = experiments[id] else {
                return AssignmentAnswer(
                    experiment: id, subject: subject, reason: .notFound, position: position)
            }
            let placement = existing[UnitKey(experiment: id, subject: subject)]
            return experiment.answer(to: subject, existing: placement)
                ?? AssignmentAnswer(
                    experiment: id, subject: subject, reason: .notAssigned, position: position)
        }
    }
}
