import Domain
import EventLog
import Logging
import Postgres
import Proof

/// Why a database can't be made, or go on being, a follower's.
package struct FollowError: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// What to do about it, a line each.
    package var advice: [String] = []
}

/// What a follower holds when it starts.
struct FollowedCopy {
    var head: Head
    var state: State
    var tree: FollowedTree
    /// Of the checkpoint that it shows to others.
    var checkpointSize: Int64
}

/// A follower's own database, before anything is taken in.
enum FollowerDatabase {
    /// Takes the leader's lock, waiting for the session of one that has just died to end.
    static func lock(
        _ connection: Connection, patience: Duration = .seconds(10)
    ) throws {
        let deadline = ContinuousClock.now + patience
        let pause = Signal()
        while try !Leadership.tryLead(connection) {
            guard ContinuousClock.now < deadline else { throw AlreadyLedError() }
            _ = pause.wait(timeout: .milliseconds(50))
        }
    }

    /// Reads what the database follows; the first time it is made to follow the source.
    static func adopt(
        _ options: Follower.Options, _ connection: Connection, _ logger: Logger
    ) throws -> Origin {
        guard var origin = try Origin.read(connection) else {
            let origin = try begin(options, connection, logger)
            try origin.write(connection)
            return origin
        }
        if let promoted = origin.promoted {
            throw FollowError(
                description: "This database was promoted at position \(promoted.position) "
                    + "(\(promoted.at)): it is a ledger of its own.",
                advice: [
                    "Serve it: ledger serve",
                    "To follow \(options.source.url), use an empty database; --diverged shows what "
                        + "only this one has.",
                ])
        }
        let isOtherKey = options.trusted.map { $0 != origin.key } ?? false
        if isOtherKey, let key = options.trusted {
            logger.warning(
                "another key is trusted from now on",
                metadata: ["before": "\(origin.key)", "now": "\(key)"])
            origin.key = key
        }
        if options.retries || (isOtherKey && origin.divergence?.kind == .wrongKey) {
            origin.divergence = nil
        }
        guard origin.divergence == nil else { return origin }
        if origin.url != options.source.url {
            logger.notice(
                "another address is followed from now on",
                metadata: ["before": "\(origin.url)", "now": "\(options.source.url)"])
        }
        origin.url = options.source.url
        try origin.write(connection)
        return origin
    }

    /// Finds out whom to trust, and whether what is in the database already is the source's.
    private static func begin(
        _ options: Follower.Options, _ connection: Connection, _ logger: Logger
    ) throws -> Origin {
        let source = Source(options.source)
        let key: VerifierKey
        if let trusted = options.trusted {
            key = trusted
        } else {
            key = try source.key()
            logger.warning(
                "the source's key is trusted from now on as it came: compare it with what its owner says",
                metadata: ["key": "\(key)", "source": "\(options.source.url)"])
        }
        let head = try Head.read(connection)
        var origin = Origin(
            url: options.source.url, key: key, sourceEpoch: try source.epoch(), verifiedSize: 0)
        guard head.position > 0 else { return origin }
        _ = try Tiles.open(at: head, connection, logger)
        let common = try CommonPrefix.find(source, key, head, connection)
        guard common.position == head.position else {
            throw FollowError(
                description: "This database holds \(head.position) events, and those from position "
                    + "\(common.position + 1) on are not \(options.source.url)'s.",
                advice: [
                    "Follow it with an empty database.",
                    "To see what only this one has: ledger follow --from \(options.source.url) "
                        + "--diverged",
                ])
        }
        origin.verifiedSize = head.position
        return origin
    }

    /// Begins an epoch of this follower's, and reads what it holds.
    static func open(
        _ origin: Origin, _ connection: Connection, _ logger: Logger
    ) throws -> FollowedCopy {
        let head = try Head.beginEpoch(connection, url: nil)
        let tiles = try Tiles.open(at: head, connection, logger)
        let verifiedSize = min(origin.verifiedSize, head.position)
        var unverified: [Digest] = []
        if verifiedSize < head.position {
            try LogScan.leaves(after: verifiedSize, through: head.position, connection) { _, leaf in
                unverified.append(leaf)
            }
        }
        return FollowedCopy(
            head: head, state: try EventReader.state(through: head.position, connection),
            tree: FollowedTree(
                frontier: head.frontier, tiles: tiles,
                verified: try TreeReader.frontier(size: UInt64(verifiedSize), connection),
                unverified: unverified),
            checkpointSize: try FollowedCommit.storedSize(connection))
    }
}
