import EventLog
import Postgres
import Proof

/// How far two logs are the same.
package struct CommonPrefix: Sendable, Equatable {
    /// The last event that both have at the same position.
    package var position: Int64
    /// The events of this database.
    package var size: Int64
    /// What was compared with: the source's signed tree.
    package var sourceSize: Int64

    /// Compares a database with a source, whose checkpoint has to be signed by the key.
    static func find(
        _ source: Source, _ key: VerifierKey, _ head: Head, _ connection: Connection
    ) throws -> CommonPrefix {
        let checkpoint = try source.checkpoint().checkpoint
        do throws(NoteError) { try checkpoint.verify(key) } catch {
            throw FollowError(
                description: "\(error)",
                advice: ["Give the right public key with --trust, or find out who answers there."])
        }
        let sizes = (own: UInt64(head.position), source: UInt64(checkpoint.size))
        let comparison = TreeComparison(source: source, checkpoint: checkpoint) { size in
            try TreeReader.root(size: size, head: sizes.own, connection)
        }
        let common = min(sizes.own, sizes.source)
        var position = common
        if try common > 0 && !comparison.isSame(through: common) {
            position = try comparison.firstDifference(good: 0, bad: common) - 1
        }
        return CommonPrefix(
            position: Int64(position), size: head.position, sourceSize: checkpoint.size)
    }

    /// Compares a database that nobody writes to with another ledger, before it follows that.
    package static func find(
        conninfo: String, source: SourceAddress, trusted: VerifierKey?
    ) throws -> CommonPrefix {
        let connection = try Leadership.connect(conninfo)
        defer { connection.close() }
        try FollowerDatabase.lock(connection)
        let asked = Source(source)
        let head = try Head.read(connection)
        _ = try Tiles.open(at: head, connection, .init(label: "ledger"))
        return try find(asked, try trusted ?? asked.key(), head, connection)
    }
}

/// Compares trees of this side with a signed one of the source, by proofs.
struct TreeComparison {
    let source: Source
    let checkpoint: Checkpoint
    /// The root of this side's tree at a size.
    let root: (UInt64) throws -> Digest

    /// Whether the first events are those under the checkpoint, of which there are as many or more.
    func isSame(through size: UInt64) throws -> Bool {
        let own = try root(size)
        if size == UInt64(checkpoint.size) { return own == checkpoint.root }
        let claim = FollowedTree.Claim(size: size, root: own, checkpoint: checkpoint)
        return claim.isProven(
            by: try source.consistency(from: Int64(size), to: checkpoint.size))
    }

    /// The first event that differs, among those after `good` and up to `bad`, which is known to.
    func firstDifference(good: UInt64, bad: UInt64) throws -> UInt64 {
        try FollowedTree.firstBad(good: good, bad: bad) { try isSame(through: $0) }
    }
}
