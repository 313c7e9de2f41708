import Domain
import Postgres
import Proof

/// Reads hashes of the tree from ledger.tiles, and those of the last leaves from their events: a few
/// rows, by their index, whatever the size of the log.
package enum TreeReader {
    /// The hashes of ranges of leaves, in one round trip.
    ///
    /// - Parameter head: the size of the tree that is committed; the ranges are within it.
    package static func hashes(
        of ranges: [TreeRange], head: UInt64, _ connection: Connection
    ) throws -> [Digest] {
        let reading = TreeReading(ranges)
        let groups = try read(reading.groups, head: head, connection)
        guard let hashes = reading.hashes(groups) else { throw Self.incomplete(head) }
        return hashes
    }

    /// The root of the tree at a size.
    package static func root(
        size: UInt64, head: UInt64, _ connection: Connection
    ) throws -> Digest {
        if size == 0 { return MerkleFrontier().root }
        return try hashes(of: [0..<size], head: head, connection)[0]
    }

    /// The tree's right edge at a size.
    package static func frontier(
        size: UInt64, _ connection: Connection
    ) throws -> MerkleFrontier {
        if size == 0 { return MerkleFrontier() }
        let reading = TreeReading([0..<size])
        let groups = try read(reading.groups, head: size, connection)
        guard let frontier = reading.frontier(size: size, groups) else {
            throw Self.incomplete(size)
        }
        return frontier
    }

    private static func incomplete(_ head: UInt64) -> CorruptLogError {
        CorruptLogError(
            description: "ledger.tiles lacks tiles of the \(head) events. \(Tiles.remedy)")
    }

    /// The hashes of groups, as far as the tree of a size has them.
    private static func read(
        _ groups: [TreeGroup], head: UInt64, _ connection: Connection
    ) throws -> [TreeGroup: [Digest]] {
        let rows = try connection.pipeline(groups.map { statement($0, head) })
        var hashes: [TreeGroup: [Digest]] = [:]
        for (group, rows) in zip(groups, rows) {
            if group.level > 0 {
                hashes[group] = (0..<rows.count).compactMap { Digest(rows.bytes($0, 0)) }
            } else if group.isComplete(head) {
                hashes[group] = rows.count > 0 ? Digest.digests(rows.bytes(0, 0)) : []
            } else {
                hashes[group] = try EventReader.events(rows).map { MerkleFrontier.leaf($0.line) }
            }
        }
        return hashes
    }

    private static func statement(_ group: TreeGroup, _ head: UInt64) -> Statement {
        let members = group.members(size: head)
        let (first, end) = (Int64(members.lowerBound), Int64(members.upperBound))
        if group.level > 0 {
            return Statement(
                """
                SELECT root FROM ledger.tiles
                 WHERE level = $1 AND index >= $2 AND index < $3 ORDER BY index
                """, [.int64(Int64(group.level)), .int64(first), .int64(end)])
        }
        if group.isComplete(head) {
            return Statement(
                "SELECT leaves FROM ledger.tiles WHERE level = 1 AND index = $1",
                [.int64(Int64(group.index))])
        }
        return Statement(
            """
            SELECT \(LogScan.eventColumns) FROM ledger.events
             WHERE position > $1 AND position <= $2 ORDER BY position
            """, [.int64(first), .int64(end)])
    }
}

extension TreeGroup {
    /// Whether all hashes of the group are in a tree of so many leaves.
    fileprivate func isComplete(_ size: UInt64) -> Bool {
        members(size: size).count == Self.width
    }
}

/// A proof that an event is in the log as it stood at a size.
package struct InclusionProof: Sendable {
    package var position: Int64
    package var size: Int64
    package var leaf: Digest
    package var hashes: [Digest]
}

extension EventReader {
    /// Proves that the event at a position is in the tree of a size; 0 < position ≤ size ≤ head.
    package func inclusion(
        of position: Int64, size: Int64, head: Int64
    ) async throws -> InclusionProof {
        let index = UInt64(position - 1)
        let ranges = [index..<index + 1] + MerkleProof.inclusion(of: index, in: UInt64(size))
        let hashes = try await hashes(of: ranges, head: head)
        return InclusionProof(
            position: position, size: size, leaf: hashes[0], hashes: Array(hashes[1...]))
    }

    /// Proves that the tree of one size begins with that of another; 0 < from ≤ to ≤ head.
    package func consistency(from: Int64, to: Int64, head: Int64) async throws -> [Digest] {
        try await hashes(
            of: MerkleProof.consistency(from: UInt64(from), to: UInt64(to)), head: head)
    }

    /// The root of the tree at a size up to the head.
    package func root(size: Int64, head: Int64) async throws -> Digest {
        try await pool.run { connection in
            try TreeReader.root(size: UInt64(size), head: UInt64(head), connection)
        }
    }

    private func hashes(of ranges: [TreeRange], head: Int64) async throws -> [Digest] {
        if ranges.isEmpty { return [] }
        return try await pool.run { connection in
            try TreeReader.hashes(of: ranges, head: UInt64(head), connection)
        }
    }
}
