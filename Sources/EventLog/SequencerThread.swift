import Domain
import Glibc
import Logging
import Postgres
import Telemetry

/// The sequencer's thread: moves bytes between the queue, ``SequencerCore`` and PostgreSQL.
final class SequencerThread: @unchecked Sendable {
    // Everything mutable here is touched by the one thread that runs `run()`, after `init`.
    private let sequencer: Sequencer
    private let conninfo: String
    private var connection: Connection?
    private var core: SequencerCore
    private var lookUpPolicy = LookUpPolicy()
    /// Whether a commit was sent and nobody knows yet what became of it.
    private var isUnresolved = false

    /// How long PostgreSQL may take to come back before a stop gives up on it.
    private static let stopPatience = Duration.seconds(10)
    /// How long a command that was not sent yet waits for PostgreSQL.
    private static let lookUpPatience = Duration.seconds(15)

    /// The connection holds the leader's lock; nobody else may touch it from now on.
    init(sequencer: Sequencer, connection: Connection, core: SequencerCore) {
        self.sequencer = sequencer
        conninfo = sequencer.conninfo
        self.connection = connection
        self.core = core
    }

    /// Why a batch was given up.
    private enum Halt: Error {
        case fenced(String)
        /// PostgreSQL did not come back in time.
        case outOfTime
    }

    /// How often a leader without work says that it is alive.
    private static let heartbeat = Duration.seconds(1)

    /// Appends until the sequencer is to stop, or another node leads.
    func run() {
        sequencer.beginLeading()
        while sequencer.isLeading, let submissions = sequencer.next(timeout: Self.heartbeat) {
            if submissions.isEmpty { beat() } else { process(submissions) }
            sequencer.metrics.queueDepth.set(sequencer.queueDepth)
        }
        drop()
        // Otherwise another node leads, and what is refused from now on is sent there.
        if sequencer.isLeading { sequencer.setStatus(.stopped) }
    }

    /// Says something, for nodes that stand by take a silent leader for a dead one.
    private func beat() {
        do { _ = try reconnecting(patience: .zero) { try $0.query("SELECT 1") } } catch Halt.fenced(
            let reason)
        {
            fence(reason)
        } catch { drop() }
    }

    private func fence(_ reason: String) {
        sequencer.logger.error("fenced", metadata: ["reason": "\(reason)"])
        sequencer.endLeading(reason)
    }

    private func fail(_ submissions: [Submission], _ error: SequencerError) {
        for submission in submissions { submission.reply(.failure(error)) }
    }

    private func process(_ submissions: [Submission]) {
        guard sequencer.isLeading else { return fail(submissions, .notLeading) }
        isUnresolved = false
        do {
            let batch: Batch
            do {
                let assumesNew = lookUpPolicy.assumesNew
                batch = try record(submissions, assumesNew ? .unlessNew : .uncached)
            } catch let error as PostgresError where error.isRepeatedVersion {
                lookUpPolicy.wasWrong()
                batch = try record(submissions, .all)
            }
            core.commit(batch)
            sequencer.view.publish(core.state, core.head, placed: batch.placed)
            observe(batch)
            for (submission, result) in batch.answers { submission.reply(result) }
        } catch Halt.fenced(let reason) {
            fence(reason)
            fail(submissions, isUnresolved ? .outcomeUnknown : .notLeading)
        } catch Halt.outOfTime {
            fail(submissions, isUnresolved ? .outcomeUnknown : .unavailable)
        } catch let error as PostgresError where error.isAboutData && submissions.count > 1 {
            // One of them is at fault: by halves, so that it fails alone.
            let half = submissions.count / 2
            process(Array(submissions[..<half]))
            process(Array(submissions[half...]))
        } catch {
            sequencer.metrics.commitsFailed.increment()
            sequencer.logger.error("commit failed", metadata: ["error": "\(error)"])
            fail(submissions, isUnresolved ? .outcomeUnknown : .failed("\(error)"))
        }
    }

    /// Decides the submissions and commits what they lead to.
    private func record(
        _ submissions: [Submission], _ extent: LookUpExtent
    ) throws -> Batch {
        let (facts, kept) = try reconnecting(patience: Self.lookUpPatience) {
            try self.lookUp(submissions, extent, $0)
        }
        if submissions.reduce(0, { $0 + $1.weight }) >= Self.streamedWeightMin {
            return try stream(submissions, facts, kept)
        }
        let batch = core.prepare(submissions, facts: facts, kept: kept, clock: .now)
        guard batch.hasRows else { return batch }
        while true {
            let connection = try reconnecting(patience: Self.lookUpPatience) { $0 }
            if try attempt(batch, on: connection, batch.commit) { return batch }
        }
    }

    /// From this weight on a batch's events are sent while the next ones are decided, which takes
    /// two round trips more.
    private static let streamedWeightMin = 500

    /// Decides a large batch and lets PostgreSQL store its first events meanwhile.
    private func stream(
        _ submissions: [Submission], _ facts: Facts, _ kept: [String: KeptAnswer]
    ) throws -> Batch {
        while true {
            let connection = try reconnecting(patience: Self.lookUpPatience) { $0 }
            var prepared: Batch?
            do {
                try Batch.begin(at: core.head, on: connection)
                _ = try connection.copyIn(EventRows.copy) { writer in
                    prepared = try core.prepare(
                        submissions, facts: facts, kept: kept, clock: .now
                    ) { rows throws(PostgresError) in try writer.append(rows) }
                }
            } catch let error as PostgresError {
                // No COMMIT was sent yet, so a broken connection leaves nothing in doubt.
                guard connection.isBroken else { throw refused(error, connection) }
                drop()
                continue
            }
            // On this very connection, which holds the transaction that was begun.
            if let prepared, try attempt(prepared, on: connection, prepared.finish) {
                return prepared
            }
        }
    }

    private func observe(_ batch: Batch) {
        let metrics = sequencer.metrics
        metrics.batchCommands.observe(batch.answers.count)
        metrics.batchEvents.observe(batch.eventCount)
        metrics.headPosition.set(Double(core.head.position))
        metrics.epoch.set(Double(core.head.epoch))
        metrics.cacheEntries.set(sequencer.view.cacheCount)
    }

    // MARK: Looking up

    /// Which units are looked up.
    private enum LookUpExtent {
        /// Those not in the cache, but for those that may be new: they are taken to be.
        case unlessNew
        /// Those not in the cache.
        case uncached
        /// All of them: what is in the cache was wrong.
        case all
    }

    private func lookUp(
        _ submissions: [Submission], _ extent: LookUpExtent, _ connection: Connection
    ) throws -> (Facts, [String: KeptAnswer]) {
        var needed = core.factsNeeded(by: submissions)
        var facts = Facts()
        if !needed.scores.isEmpty {
            facts.scores = try LookUp.scores(needed.scores, connection)
            for known in facts.scores.values {
                if known.score.variant == nil {
                    needed.quarantined.append(known.score.unit)
                } else {
                    needed.scored.append(known.score.unit)
                }
            }
        }
        try lookUpPlacements(needed, submissions, extent, connection, &facts)
        if !needed.rollouts.isEmpty {
            facts.rollouts = try LookUp.rollouts(needed.rollouts, connection)
        }
        if !needed.sealedSubjects.isEmpty {
            facts.sealedSubjects = try LookUp.sealedSubjects(
                needed.sealedSubjects, in: core.state.sealedExperiments, connection)
        }
        let unplaced = needed.quarantined.filter { facts.placements[$0] == nil }
        if !unplaced.isEmpty {
            facts.unattributed = try LookUp.unattributedVersions(unplaced, connection)
        }
        let keys = submissions.flatMap(\.idempotencyKeys)
        var kept: [String: KeptAnswer] = [:]
        if !keys.isEmpty {
            let rows = try connection.pipeline([LookUp.keptAnswers(keys)])
            kept = try LookUp.keptAnswers(rows[0])
        }
        return (facts, kept)
    }

    private func lookUpPlacements(
        _ needed: FactsNeeded, _ submissions: [Submission], _ extent: LookUpExtent,
        _ connection: Connection, _ facts: inout Facts
    ) throws {
        var (placed, scored) = (needed.placed, needed.scored)
        if extent != .all {
            placed = sequencer.view.cached(placed, into: &facts.placements)
            scored = sequencer.view.cached(scored, into: &facts.placements)
            sequencer.metrics.cacheHits.increment(by: facts.placements.count)
            sequencer.metrics.cacheMisses.increment(by: placed.count + scored.count)
        }
        if extent == .unlessNew {
            // A refused append leaves nothing for the index to find fault with.
            placed = core.factsNeeded(by: submissions.filter(\.isAppend)).placed
        }
        if !placed.isEmpty {
            let found = try LookUp.placements(placed, connection)
            lookUpPolicy.lookedUp(found: found.count)
            facts.placements.merge(found) { cached, _ in cached }
        }
        if !scored.isEmpty {
            let found = try LookUp.placements(scored, connection)
            facts.placements.merge(found) { cached, _ in cached }
        }
    }

    // MARK: Committing

    /// Tries to commit a batch; false where it is known that nothing was recorded.
    private func attempt(
        _ batch: Batch, on connection: Connection,
        _ commit: (Connection) throws(PostgresError) -> Void
    ) throws -> Bool {
        let started = ContinuousClock.now
        let warnings = connection.warningCount
        do throws(PostgresError) { try commit(connection) } catch {
            guard connection.isBroken else { throw refused(error, connection) }
            return try isSettled(batch, "\(error)")
        }
        guard connection.warningCount == warnings else {
            // Someone broke off its wait for the synchronous replicas: only this database has it.
            return try isSettled(batch, "PostgreSQL answered it with a warning")
        }
        sequencer.metrics.commitSeconds.observe(ContinuousClock.now - started)
        return true
    }

    /// Whether a batch was recorded whose commit nobody has answered, or not as it should be.
    private func isSettled(_ batch: Batch, _ reason: String) throws -> Bool {
        sequencer.metrics.commitsUnknown.increment()
        sequencer.logger.warning("commit in doubt", metadata: ["reason": "\(reason)"])
        drop()
        isUnresolved = true
        let isCommitted = try wasCommitted(batch)
        isUnresolved = false
        return isCommitted
    }

    /// Rolls back what PostgreSQL refused, and says what the refusal means.
    private func refused(_ error: PostgresError, _ connection: Connection) -> any Error {
        do { try connection.execute("ROLLBACK") } catch { drop() }
        return error.sqlState == "LE001" ? Halt.fenced(error.message) : error
    }

    /// Finds out what became of a commit whose answer was lost.
    private func wasCommitted(_ batch: Batch) throws -> Bool {
        let isRecorded: Bool
        do {
            isRecorded = try reconnecting { try self.isRecorded(batch, $0) }
        } catch Halt.fenced(let reason) {
            // Under a later epoch nothing is in flight any more: it is there or it never will be.
            let isRecorded = try askingAnyway { try batch.isRecorded(in: $0) }
            isUnresolved = false
            guard isRecorded else { throw Halt.fenced(reason) }
            return true
        }
        if isRecorded { try reconnecting { try Leadership.waitForReplicas($0) } }
        return isRecorded
    }

    /// Whether a batch is in the log, where this node still leads.
    private func isRecorded(_ batch: Batch, _ connection: Connection) throws -> Bool {
        // The head does not move for answers alone; they tell themselves.
        guard batch.eventCount > 0 else { return try batch.isRecorded(in: connection) }
        let head = try Head.read(connection)
        switch (head.epoch, head.position) {
        case (batch.start.epoch, batch.head.position) where head.frontier == batch.head.frontier:
            return true
        case (batch.start.epoch, batch.start.position) where head.frontier == batch.start.frontier:
            return false
        default:
            throw Halt.fenced(
                "the head is at position \(head.position) of epoch \(head.epoch), where this node "
                    + "left it at \(batch.start.position) of epoch \(batch.start.epoch)")
        }
    }

    /// Asks the database without leading it, as long as it takes or until the ledger stops.
    private func askingAnyway<T>(_ body: (Connection) throws -> T) throws -> T {
        let started = ContinuousClock.now
        while true {
            do {
                let connection = try Leadership.connect(conninfo)
                defer { connection.close() }
                return try body(connection)
            } catch let error as PostgresError {
                let waited = ContinuousClock.now - started
                if sequencer.isStopping, waited > Self.stopPatience { throw error }
                sequencer.pause(.milliseconds(200))
            }
        }
    }

    // MARK: The connection

    private func drop() {
        connection?.close()
        connection = nil
    }

    /// Runs something that can be run again, on a connection that holds the leader's lock.
    ///
    /// Without `patience` it is tried until it succeeds, or the ledger stops.
    private func reconnecting<T>(
        patience: Duration? = nil, _ body: (Connection) throws -> T
    ) throws -> T {
        let started = ContinuousClock.now
        var delay = Duration.milliseconds(20)
        while true {
            do {
                let connection = try leadingConnection()
                let result = try body(connection)
                sequencer.setStatus(.leading)
                return result
            } catch let error as PostgresError
                where isUnresolved || error.isTransient(connection)
            {
                drop()
                sequencer.setStatus(.reconnecting(error.message))
                let limit = sequencer.isStopping ? Self.stopPatience : patience
                let waited = ContinuousClock.now - started
                if let limit, waited > limit { throw Halt.outOfTime }
                if waited > Self.lookUpPatience { fail(sequencer.waiting(), .unavailable) }
                sequencer.pause(delay)
                delay = min(delay * 2, .seconds(1))
            }
        }
    }

    /// The connection, opened anew if need be, after checking that no one else has led meanwhile.
    private func leadingConnection() throws -> Connection {
        if let connection, !connection.isBroken { return connection }
        let connection = try Leadership.connect(conninfo)
        // Before the lock, which a new leader holds; and after it, should one have come and gone.
        try checkEpoch(connection)
        guard try Leadership.tryLead(connection) else {
            connection.close()
            throw PostgresError(.connection, "the leader's lock is held by another session")
        }
        try checkEpoch(connection)
        self.connection = connection
        return connection
    }

    private func checkEpoch(_ connection: Connection) throws {
        let epoch = try Head.read(connection).epoch
        guard epoch == core.head.epoch else {
            throw Halt.fenced("another node leads under epoch \(epoch)")
        }
    }
}

extension PostgresError {
    /// Whether an event came for a version that its stream has already.
    fileprivate var isRepeatedVersion: Bool {
        sqlState == "23505" && constraint == "events_stream_version"
    }

    /// Whether PostgreSQL refused what a batch holds: data exceptions, constraints, size limits.
    fileprivate var isAboutData: Bool {
        ["22", "23", "54"].contains { sqlState?.hasPrefix($0) == true }
    }

    /// Whether trying again on a new connection may help.
    fileprivate func isTransient(_ connection: Connection?) -> Bool {
        // Class 57: shutting down, starting up, crashed; 53300: too many connections.
        kind == .connection || connection?.isBroken == true
            || sqlState?.hasPrefix("57P") == true || sqlState == "53300"
    }
}

extension Timestamp {
    /// The system clock's time.
    package static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(
            microseconds: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000)
    }
}
