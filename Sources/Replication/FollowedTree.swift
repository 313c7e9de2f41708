import EventLog
import Proof

/// What a follower knows of its source's tree: which part of what it holds is proven, and by which
/// signed checkpoint. A value: a step is tried on a copy, and kept once it is committed.
///
/// Invariants:
/// - ``verified`` is the right edge of a tree that a signed checkpoint covers; it only grows.
/// - ``unverified`` are the leaves behind it, up to ``frontier``.
/// - ``signed`` is the newest checkpoint; no two that were taken contradict each other.
struct FollowedTree: Sendable, Equatable {
    /// The right edge of the tree over all lines.
    private(set) var frontier: MerkleFrontier
    /// The open tile at ``frontier``.
    private(set) var tiles: TreeTiles
    private(set) var verified: MerkleFrontier
    private(set) var unverified: [Digest]
    private(set) var signed: Checkpoint?

    /// More leaves than this are not taken on trust.
    static let unverifiedMax = 200_000

    init(
        frontier: MerkleFrontier, tiles: TreeTiles, verified: MerkleFrontier, unverified: [Digest]
    ) {
        self.frontier = frontier
        self.tiles = tiles
        self.verified = verified
        self.unverified = unverified
    }

    /// That the first leaves are those of a signed tree: to be proven by the source.
    struct Claim: Sendable, Equatable {
        var size: UInt64
        var root: Digest
        var checkpoint: Checkpoint

        /// Whether these hashes prove it.
        func isProven(by hashes: [Digest]) -> Bool {
            MerkleProof.verifyConsistency(
                from: size, root, to: UInt64(checkpoint.size), checkpoint.root, hashes: hashes)
        }
    }

    enum Finding: Sendable, Equatable {
        /// All that can be known is known.
        case settled
        case claim(Claim)
        /// The lines are not those of the signed tree.
        case differs(from: Checkpoint)
        /// The checkpoint is of a smaller tree than the one that is proven.
        case older
    }

    /// Whether further lines may be taken now.
    var takesLines: Bool {
        guard let signed else { return false }
        return signed.size > Int64(frontier.size) || unverified.count < Self.unverifiedMax
    }

    /// Takes a checkpoint whose signature is good.
    mutating func take(_ checkpoint: Checkpoint) -> Finding {
        let size = UInt64(checkpoint.size)
        guard size >= verified.size else { return .older }
        let isFirst = signed == nil
        if size <= frontier.size {
            let count = Int(size - verified.size)
            var edge = verified
            for leaf in unverified.prefix(count) { edge.append(leaf) }
            guard edge.root == checkpoint.root else { return .differs(from: checkpoint) }
            verified = edge
            unverified.removeFirst(count)
            signed = checkpoint
            return .settled
        }
        signed = checkpoint
        // Proven lines are the beginning of what follows, which is proven with them.
        guard frontier.size > 0, isFirst || !unverified.isEmpty else { return .settled }
        return .claim(
            Claim(size: frontier.size, root: frontier.root, checkpoint: checkpoint))
    }

    /// Takes lines; the tiles that they complete are added to `completed`.
    mutating func append(_ leaves: [Digest], completed: inout [TreeTile]) -> Finding {
        var target = signed.flatMap { $0.size > Int64(frontier.size) ? $0 : nil }
        for leaf in leaves {
            tiles.append(leaf, to: &frontier, completed: &completed)
            unverified.append(leaf)
            if let checkpoint = target, frontier.size == UInt64(checkpoint.size) {
                guard frontier.root == checkpoint.root else {
                    return .differs(from: checkpoint)
                }
                prove()
                target = nil
            }
        }
        guard let target else { return .settled }
        return .claim(Claim(size: frontier.size, root: frontier.root, checkpoint: target))
    }

    /// Notes that the source has proven all lines to be those of a signed tree.
    mutating func prove() {
        verified = frontier
        unverified.removeAll(keepingCapacity: true)
    }

    /// The root over the first lines, as far as they are not proven yet.
    func root(size: UInt64) -> Digest? {
        guard size >= verified.size, size <= frontier.size else { return nil }
        var edge = verified
        for leaf in unverified.prefix(Int(size - verified.size)) { edge.append(leaf) }
        return edge.root
    }

    /// The smallest of the sizes after `good` and up to `bad` whose tree is not good, given that
    /// those of all larger ones are not good either.
    static func firstBad(
        good: UInt64, bad: UInt64, isGood: (UInt64) throws -> Bool
    ) rethrows -> UInt64 {
        var (good, bad) = (good, bad)
        while good + 1 < bad {
            let middle = good + (bad - good) / 2
            if try isGood(middle) { good = middle } else { bad = middle }
        }
        return bad
    }
}
