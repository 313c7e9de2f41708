import EventLog
import Postgres

/// Makes a follower's database a ledger of its own.
package enum Promotion {
    /// What a promotion has done, or would do.
    package struct Report: Sendable, Equatable {
        package var source: String
        package var position: Int64
        package var verifiedPosition: Int64
        package var epoch: Int64

        /// Events that were taken in and that no signed checkpoint covers yet.
        package var unverified: Int64 { position - verifiedPosition }
    }

    /// Promotes in one transaction: from then on whoever followed can't write any more.
    ///
    /// - Parameter isDryRun: whether only to say what would be.
    package static func run(conninfo: String, isDryRun: Bool) throws -> Report {
        let connection = try Connection(conninfo, applicationName: "ledger promote")
        defer { connection.close() }
        try connection.execute("BEGIN")
        guard let origin = try Origin.read(connection, locking: true) else {
            throw FollowError(
                description:
                    "This database follows no other ledger, so there is nothing to promote.",
                advice: ["Serve it: ledger serve"])
        }
        if let promoted = origin.promoted {
            throw FollowError(
                description: "This database was promoted before, at position \(promoted.position) "
                    + "(\(promoted.at)).", advice: ["Serve it: ledger serve"])
        }
        // Waits for a commit of the follower that is on its way, and for no more than that.
        try connection.execute("SELECT FROM ledger.head FOR UPDATE")
        let head = try Head.read(connection)
        try refuseForeignLines(origin, head)
        let epoch = max(head.epoch, origin.sourceEpoch) + 1
        let report = Report(
            source: origin.url, position: head.position, verifiedPosition: origin.verifiedSize,
            epoch: epoch)
        guard !isDryRun else { return report }
        _ = try connection.query("UPDATE ledger.head SET epoch = $1", [.int64(epoch)])
        _ = try connection.query(
            "UPDATE ledger.origin SET promoted_position = $1, promoted_at = now()",
            [.int64(head.position)])
        try connection.execute("COMMIT")
        return report
    }

    /// Lines that may be another history's must not become a ledger's.
    private static func refuseForeignLines(_ origin: Origin, _ head: Head) throws {
        guard let divergence = origin.divergence, let position = divergence.position else { return }
        let first: Int64
        switch divergence.kind {
        case .shrunken, .wrongKey: return
        // What was proven is one history, and what came after it perhaps the other.
        case .fork: first = origin.verifiedSize + 1
        case .malformedLine, .wrongPosition, .wrongOrder, .otherLines: first = position
        }
        guard first <= head.position else { return }
        throw FollowError(
            description: "This database holds \(head.position) events, and those from position "
                + "\(first) on may not be the source's: at \(divergence).",
            advice: ["Promote another follower, or follow anew with an empty database."])
    }
}
