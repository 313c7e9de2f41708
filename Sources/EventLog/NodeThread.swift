import Domain
import Glibc
import Logging
import Postgres
import Proof

/// The thread of a node that shares its database with others: stands by until it may lead, leads
/// until another node does, and stands by again.
///
/// Standing by it keeps the view close behind the log: by a clock while events come, and woken by a
/// NOTIFY once they have stopped, for a wake per commit would cost a busy leader more than it is worth.
/// It asks for the leader's lock all the while, which PostgreSQL gives out once the leader's session
/// is over; the session of a leader that has fallen silent it ends itself.
final class NodeThread: @unchecked Sendable {
    // Everything mutable here is touched by the one thread that runs `run()`, after `init`.
    private let sequencer: Sequencer
    private let view: LedgerView
    private let conninfo: String
    /// Where the other nodes reach this one.
    private let url: String
    private let admission: EventLog.Admission
    private var nextAttempt = ContinuousClock.now
    /// The leader's last word, and since when it is the last.
    private var lastWord: (Leadership.LastWord, ContinuousClock.Instant)?
    private var lastMove = ContinuousClock.now
    private var isListening = false
    /// The epoch whose leader's address is known.
    private var addressedEpoch: Int64?

    /// Between two attempts to get the lock.
    private static let attemptInterval = Duration.milliseconds(250)
    /// A leader says something every second.
    private static let silenceMax = Duration.seconds(5)
    /// Between two looks at the log of a busy leader.
    private static let stepInterval = Duration.milliseconds(15)
    /// Without an event for so long, it waits to be woken.
    private static let idleAfter = Duration.seconds(1)
    private static let retryDelay = Duration.milliseconds(200)
    /// Before a node that was not admitted tries again: until then another may lead.
    private static let refusedDelay = Duration.seconds(30)

    init(sequencer: Sequencer, url: String, admission: @escaping EventLog.Admission) {
        self.admission = admission
        self.sequencer = sequencer
        view = sequencer.view
        conninfo = sequencer.conninfo
        self.url = url
    }

    func run() {
        while !sequencer.isStopping {
            do {
                let connection = try Leadership.connect(conninfo)
                isListening = false
                sequencer.setStatus(.standby(trouble: nil))
                try standBy(connection)
                if !sequencer.isStopping { try lead(connection) }
            } catch {
                if !(error is PostgresError) {
                    sequencer.logger.error(
                        "this node must not lead", metadata: ["error": "\(error)"])
                    nextAttempt = .now + Self.refusedDelay
                }
                sequencer.setStatus(.standby(trouble: "\(error)"))
                sequencer.pause(Self.retryDelay)
            }
        }
        sequencer.setStatus(.stopped)
    }

    // MARK: Standing by

    /// Follows the log until this session has the leader's lock, or the ledger stops.
    private func standBy(_ connection: Connection) throws {
        while !sequencer.isStopping {
            let now = ContinuousClock.now
            if now >= nextAttempt {
                nextAttempt = now + Self.attemptInterval
                if try Leadership.tryLead(connection) { break }
                try endSilentSession(connection, now)
            }
            let before = view.head
            try catchUp(with: Head.read(connection), connection)
            try wait(connection, hasMoved: view.head != before)
        }
        if isListening { try connection.execute("UNLISTEN ledger") }
    }

    /// Ends the leader's session once it has not said a word for too long.
    private func endSilentSession(
        _ connection: Connection, _ now: ContinuousClock.Instant
    ) throws {
        let word = try Leadership.lastWord(connection)
        guard let word, let (heard, since) = lastWord, heard == word else {
            lastWord = word.map { ($0, now) }
            return
        }
        guard now - since >= Self.silenceMax else { return }
        try Leadership.end(word, connection)
        sequencer.logger.warning("ended the session of a leader that fell silent")
        lastWord = nil
        nextAttempt = now
    }

    private func wait(_ connection: Connection, hasMoved: Bool) throws {
        let now = ContinuousClock.now
        if hasMoved { lastMove = now }
        let isIdle = now - lastMove > Self.idleAfter
        if isIdle != isListening {
            try connection.execute(isIdle ? "LISTEN ledger" : "UNLISTEN ledger")
            isListening = isIdle
            // What came before the LISTEN wakes nobody.
            return
        }
        if isListening {
            _ = try connection.notifications(
                waiting: max(.zero, nextAttempt - .now), or: sequencer.stopSignal)
        } else {
            sequencer.pause(Self.stepInterval)
        }
    }

    /// Takes over what was committed up to a head.
    private func catchUp(with head: Head, _ connection: Connection) throws {
        if head.epoch != addressedEpoch {
            view.setLeader(try Leadership.url(ofEpoch: head.epoch, connection))
            // An address may come a moment after its epoch.
            addressedEpoch = view.leader == nil ? nil : head.epoch
        }
        let (state, position) = view.snapshot
        guard head != view.head else { return }
        guard try isContinued(by: head, connection) else {
            sequencer.logger.error(
                "the database has lost events",
                metadata: ["known": "\(position)", "found": "\(head.position)"])
            view.forgetPlacements()
            view.publish(try EventReader.state(through: head.position, connection), head)
            return
        }
        var next = state
        try next.evolve(after: position, through: head.position, connection)
        view.publish(next, head)
        sequencer.metrics.headPosition.set(Double(head.position))
        sequencer.metrics.epoch.set(Double(head.epoch))
    }

    /// Whether the log up to a head begins with all that this node has seen of it. Only a failover
    /// to a replica that lacked commits makes it another.
    private func isContinued(by head: Head, _ connection: Connection) throws -> Bool {
        let known = view.head
        guard head.position >= known.position else { return false }
        // Whoever leads, appends only.
        guard head.epoch != known.epoch else { return true }
        let root = try TreeReader.root(
            size: UInt64(known.position), head: UInt64(head.position), connection)
        return root == known.frontier.root
    }

    // MARK: Leading

    /// Leads over a session that has the lock, until another node leads or the ledger stops.
    private func lead(_ connection: Connection) throws {
        let (head, tiles) = try beginEpoch(connection)
        try catchUp(with: head, connection)
        view.setLeader(url)
        addressedEpoch = nil
        // Their versions were of other nodes' time.
        view.forgetPlacements()
        // From here on the connection is the writer's.
        SequencerThread(
            sequencer: sequencer, connection: connection,
            core: SequencerCore(
                head: head, state: view.snapshot.state,
                tiles: tiles)
        ).run()
    }

    /// Begins an epoch, once the log is found to be one that may be led.
    private func beginEpoch(_ connection: Connection) throws -> (Head, TreeTiles) {
        while true {
            let before = try Head.read(connection)
            let tiles = try Tiles.open(at: before, connection, sequencer.logger)
            try admission(connection)
            let head = try Head.beginEpoch(connection, url: url)
            // Until its epoch was over, the leader before could have appended something.
            if head.position == before.position { return (head, tiles) }
        }
    }
}

extension State {
    /// Folds the events of the streams that make up the state, among those after a position.
    mutating func evolve(
        after position: Int64, through last: Int64, _ connection: Connection
    ) throws {
        guard last > position else { return }
        let prefixes = StreamName.statePrefixes.map { "starts_with(stream, '\($0)')" }
        let rows = try connection.query(
            """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE position > $1 AND position <= $2 AND (\(prefixes.joined(separator: " OR ")))
             ORDER BY position
            """, [.int64(position), .int64(last)])
        for event in try EventReader.events(rows) {
            evolve(try event.decoded(), at: event.context)
        }
    }
}
