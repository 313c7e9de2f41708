import Domain
import EventLog
import Logging
import Postgres
import Proof

/// The thread that decides what of the source's lines is stored, and stores it.
final class WriterThread: @unchecked Sendable {
    // Everything mutable here is touched by the one thread that runs `run()`, after `init`.
    private let follower: Follower
    private let source: Source
    private var connection: Connection?
    private var head: Head
    private var state: State
    private var tree: FollowedTree
    /// Of the checkpoint that is kept for this follower's own followers.
    private var checkpointSize: Int64
    /// What was kept of how far the log is proven.
    private var keptSize: UInt64
    private var keptEpoch: Int64 = 0
    /// The lines that are being stored: tried again until they are, or are found not to fit.
    private var pending: LineBatch?
    private var isHalted: Bool
    private var nextLook = ContinuousClock.now

    /// Between two looks at whether the database was promoted; also what keeps the session from
    /// being taken for one that fell silent.
    private static let lookInterval = Duration.seconds(1)
    private static let retryDelay = Duration.milliseconds(500)

    /// The connection holds the leader's lock; nobody else may touch it from now on.
    init(_ follower: Follower, _ connection: Connection, _ copy: FollowedCopy) {
        self.follower = follower
        source = Source(follower.source)
        self.connection = connection
        head = copy.head
        state = copy.state
        tree = copy.tree
        checkpointSize = copy.checkpointSize
        keptSize = copy.tree.verified.size
        isHalted = follower.status.divergence != nil
    }

    /// Nothing more may be written under this thread's epoch.
    private enum Halt: Error {
        case promoted
        case fenced(String)
        case stopped
    }

    func run() {
        while !follower.isStopping {
            do {
                try look()
                try step()
            } catch let divergence as Divergence {
                halt(divergence)
            } catch Halt.promoted {
                follower.end(.promoted)
            } catch Halt.fenced(let reason) {
                follower.end(.fenced(reason))
            } catch Halt.stopped {
                break
            } catch {
                follower.note("\(error)", of: .writer)
                follower.pause(Self.retryDelay)
            }
        }
        connection?.close()
    }

    private func step() throws {
        if let batch = pending {
            try take(batch)
            pending = nil
        }
        let message = follower.inbox.next(
            takesLines: tree.takesLines && !isHalted, timeout: Self.lookInterval)
        guard let message, !isHalted else { return }
        switch message {
        case .divergence(let divergence): throw divergence
        case .checkpoint(let checkpoint): try take(checkpoint)
        case .lines(let batch):
            pending = batch
            try take(batch)
            pending = nil
        }
    }

    // MARK: Checkpoints

    private func take(_ checkpoint: Checkpoint) throws {
        var next = tree
        switch next.take(checkpoint) {
        case .settled: break
        case .older:
            return try compare(older: checkpoint)
        case .claim(let claim):
            guard try prove(claim) else { throw try difference(next, claim.size, checkpoint) }
            next.prove()
        case .differs:
            throw try difference(next, UInt64(checkpoint.size), checkpoint)
        }
        tree = next
        try keepProven()
    }

    /// A smaller tree than the one that is proven must be its beginning.
    private func compare(older checkpoint: Checkpoint) throws {
        let size = UInt64(checkpoint.size)
        guard size > 0, try root(size: size) != checkpoint.root else { return }
        let comparison = TreeComparison(source: source, checkpoint: checkpoint) { size in
            try self.root(size: size)
        }
        let position = try asking { try comparison.firstDifference(good: 0, bad: size) }
        throw Divergence(
            .fork, at: Int64(position),
            "a signed checkpoint of \(size) events is of another history")
    }

    /// Asks the source for the proof of a claim, for as long as it takes.
    private func prove(_ claim: FollowedTree.Claim) throws -> Bool {
        try asking {
            claim.isProven(
                by: try self.source.consistency(
                    from: Int64(claim.size), to: claim.checkpoint.size))
        }
    }

    /// Tries what needs the source until it answers.
    private func asking<T>(_ body: () throws -> T) throws -> T {
        while true {
            do {
                let result = try body()
                follower.note(nil, of: .writer)
                return result
            } catch let error as SourceError {
                follower.note(error.description, of: .writer)
                follower.pause(Self.retryDelay)
                if follower.isStopping { throw Halt.stopped }
                try look()
            }
        }
    }

    /// Finds the first event of a tree that is not under a checkpoint, given that not all are.
    private func difference(
        _ tree: FollowedTree, _ bad: UInt64, _ checkpoint: Checkpoint
    ) throws -> any Error {
        let comparison = TreeComparison(source: source, checkpoint: checkpoint) { size in
            try tree.root(size: size) ?? self.root(size: size)
        }
        return try asking {
            let good = tree.verified.size
            if try good > 0 && !comparison.isSame(through: good) {
                return Divergence(
                    .fork, at: Int64(try comparison.firstDifference(good: 0, bad: good)),
                    "a signed checkpoint of \(checkpoint.size) events is of another history than "
                        + "one of \(good) before it")
            }
            // The proof itself may have been broken on its way.
            if try comparison.isSame(through: bad) {
                return SourceError(description: "a proof was wrong, and right the second time")
            }
            return Divergence(
                .otherLines, at: Int64(try comparison.firstDifference(good: good, bad: bad)),
                "the line is not the one under the signed checkpoint of \(checkpoint.size) events")
        }
    }

    /// The root of what is stored, at a size.
    private func root(size: UInt64) throws -> Digest {
        try TreeReader.root(size: size, head: UInt64(head.position), try writing())
    }

    // MARK: Lines

    private func take(_ batch: LineBatch) throws {
        guard !batch.leaves.isEmpty else {
            if let divergence = batch.divergence { throw divergence }
            return
        }
        guard batch.after == head.position else {
            throw Halt.fenced(
                "lines after position \(batch.after) came where \(head.position) is the head")
        }
        var next = tree
        var completed: [TreeTile] = []
        switch next.append(batch.leaves, completed: &completed) {
        case .settled, .older: break
        case .claim(let claim):
            guard try prove(claim) else {
                throw try difference(next, claim.size, claim.checkpoint)
            }
            next.prove()
        case .differs(let checkpoint):
            throw try difference(next, UInt64(checkpoint.size), checkpoint)
        }
        try store(batch, next, completed)
        if let divergence = batch.divergence { throw divergence }
    }

    private func store(
        _ batch: LineBatch, _ next: FollowedTree, _ completed: [TreeTile]
    ) throws {
        var newHead = head
        newHead.position = batch.through
        newHead.recordedAt = batch.recordedAt
        newHead.frontier = next.frontier
        let commit = FollowedCommit(
            from: head, to: newHead, batch: batch, tiles: completed,
            verifiedSize: Int64(next.verified.size), sourceEpoch: follower.sourceEpoch)
        try commitOnce(commit)
        for change in batch.changes { state.evolve(change.event, at: change.context) }
        (head, tree) = (newHead, next)
        keptSize = next.verified.size
        // Once it is stored it must not be tried again, whatever comes after it.
        pending = nil
        follower.log.view.publish(state, newHead)
        publish()
        try keepProven()
    }

    private func publish() {
        follower.note {
            $0.advance(to: head.position, verified: Int64(tree.verified.size), at: .now)
        }
        follower.note(nil, of: .writer)
    }

    /// Commits, also where the connection breaks and nobody knows at first what became of it.
    private func commitOnce(_ commit: FollowedCommit) throws {
        while true {
            let connection = try writing()
            do throws(PostgresError) {
                return try commit.run(connection)
            } catch {
                guard connection.isBroken else {
                    try connection.execute("ROLLBACK")
                    if error.sqlState == "LE001" { throw try fence() }
                    throw commit.divergence(error) ?? error
                }
                follower.note(error.message, of: .writer)
                let found = try Head.read(try writing())
                if found.position == commit.to.position, found.frontier == commit.to.frontier {
                    return
                }
                guard found.position == commit.from.position else { throw try fence() }
            }
        }
    }

    // MARK: The database

    /// Keeps what is proven, and the note that proves it for this follower's own followers.
    private func keepProven() throws {
        let sourceEpoch = follower.sourceEpoch
        if keptSize != tree.verified.size || keptEpoch != sourceEpoch {
            try FollowedCommit.storeVerified(
                tree.verified.size, sourceEpoch: sourceEpoch, try writing())
            (keptSize, keptEpoch) = (tree.verified.size, sourceEpoch)
        }
        if let signed = tree.signed, signed.size <= Int64(tree.verified.size),
            signed.size > checkpointSize
        {
            try FollowedCommit.store(signed, follower.key, try writing())
            checkpointSize = signed.size
        }
        publish()
    }

    /// Now and then, whether someone has promoted the database.
    private func look() throws {
        guard ContinuousClock.now >= nextLook else { return }
        nextLook = .now + Self.lookInterval
        if try Origin.read(try writing())?.promoted != nil { throw Halt.promoted }
    }

    /// Why nothing may be written any more.
    private func fence() throws -> Halt {
        if try Origin.read(try writing())?.promoted != nil { return .promoted }
        return .fenced("another process writes to this follower's database")
    }

    /// The connection, opened anew if need be; it has the leader's lock.
    private func writing() throws -> Connection {
        if let connection, !connection.isBroken { return connection }
        connection?.close()
        connection = nil
        while true {
            if follower.isStopping { throw Halt.stopped }
            do {
                let opened = try Leadership.connect(follower.conninfo)
                connection = opened
                if try Origin.read(opened)?.promoted != nil { throw Halt.promoted }
                try FollowerDatabase.lock(opened)
                guard try Head.read(opened).epoch == head.epoch else {
                    throw Halt.fenced("another process writes to this follower's database")
                }
                follower.note(nil, of: .writer)
                return opened
            } catch {
                connection?.close()
                connection = nil
                guard let error = error as? PostgresError else { throw error }
                follower.note(error.message, of: .writer)
                follower.pause(Self.retryDelay)
            }
        }
    }

    private func halt(_ divergence: Divergence) {
        isHalted = true
        pending = nil
        follower.note { $0.divergence = divergence }
        follower.logger.error(
            "the source has diverged; nothing is served any more",
            metadata: [
                "reason": "\(divergence)", "kind": "\(divergence.kind.rawValue)",
                "verifiedPosition": "\(tree.verified.size)", "advice": "\(divergence.advice)",
            ])
        do { try Origin.halt(divergence, try writing()) } catch {
            follower.logger.error(
                "could not keep that the source has diverged", metadata: ["error": "\(error)"])
        }
    }
}
