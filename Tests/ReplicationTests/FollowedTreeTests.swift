import EventLog
import Proof
import SeededRandomness
import Testing

@testable import Replication

@Suite("What a follower knows of its source's tree")
struct FollowedTreeTests {
    private let key: SigningKey

    init() throws { key = try SigningKey() }

    private static func leaves(_ count: Int, salt: UInt8 = 0) -> [Digest] {
        (0..<count).map { MerkleFrontier.leaf([salt, UInt8($0 & 0xFF), UInt8($0 >> 8)]) }
    }

    private static func frontier(_ leaves: some Sequence<Digest>) -> MerkleFrontier {
        var frontier = MerkleFrontier()
        for leaf in leaves { frontier.append(leaf) }
        return frontier
    }

    private func checkpoint(_ leaves: some Collection<Digest>) throws -> Checkpoint {
        try Checkpoint(
            size: Int64(leaves.count), root: Self.frontier(leaves).root, signedWith: key)
    }

    private static let empty = FollowedTree(
        frontier: MerkleFrontier(), tiles: TreeTiles(), verified: MerkleFrontier(), unverified: [])

    private func append(_ leaves: some Collection<Digest>, to tree: inout FollowedTree)
        -> FollowedTree.Finding
    {
        var completed: [TreeTile] = []
        return tree.append(Array(leaves), completed: &completed)
    }

    @Test("no line is taken before a checkpoint is known")
    func first() throws {
        var tree = Self.empty
        #expect(!tree.takesLines)
        #expect(tree.take(try checkpoint([])) == .settled)
        #expect(tree.takesLines)
    }

    @Test("lines up to a checkpoint are proven where they end there, and need a proof elsewhere")
    func catchingUp() throws {
        let leaves = Self.leaves(300)
        var tree = Self.empty
        let signed = try checkpoint(leaves)
        #expect(tree.take(signed) == .settled)
        let claim = FollowedTree.Claim(
            size: 100, root: Self.frontier(leaves[..<100]).root, checkpoint: signed)
        #expect(append(leaves[..<100], to: &tree) == .claim(claim))
        #expect(tree.verified.size == 0)
        tree.prove()
        #expect(append(leaves[100...], to: &tree) == .settled)
        #expect(tree.verified == Self.frontier(leaves) && tree.unverified.isEmpty)
    }

    @Test("lines beyond a checkpoint are taken on trust until the next one covers them")
    func live() throws {
        let leaves = Self.leaves(40)
        var tree = Self.empty
        #expect(tree.take(try checkpoint(leaves[..<10])) == .settled)
        // The page goes past the checkpoint, which is checked on the way.
        #expect(append(leaves[..<20], to: &tree) == .settled)
        #expect(tree.verified.size == 10 && tree.unverified.count == 10)
        #expect(append(leaves[20..<30], to: &tree) == .settled)
        #expect(tree.take(try checkpoint(leaves[..<25])) == .settled)
        #expect(tree.verified == Self.frontier(leaves[..<25]) && tree.unverified.count == 5)
        // One of more than was taken has to be proven to begin with it.
        let signed = try checkpoint(leaves)
        #expect(
            tree.take(signed)
                == .claim(
                    .init(
                        size: 30, root: Self.frontier(leaves[..<30]).root, checkpoint: signed)))
    }

    @Test("other lines than those that were signed are noticed, however pages fall")
    func differences() throws {
        var generator = SeededGenerator()
        for _ in 0..<200 {
            let count = Int.random(in: 1...60, using: &generator)
            let leaves = Self.leaves(count)
            var received = leaves
            let bad = Int.random(in: 0..<count, using: &generator)
            received[bad] = MerkleFrontier.leaf([0xFF])
            let signed = try checkpoint(leaves)
            var tree = Self.empty
            let isLive = Bool.random(using: &generator)
            _ = tree.take(isLive ? try checkpoint([]) : signed)
            var finding = FollowedTree.Finding.settled
            var start = 0
            while start < count, finding == .settled {
                let end = Int.random(in: start + 1...count, using: &generator)
                finding = append(received[start..<end], to: &tree)
                if case .claim(let claim) = finding {
                    let isGood = claim.isProven(
                        by: Self.consistency(leaves, from: end, to: count))
                    #expect(isGood == (bad >= end))
                    guard isGood else { break }
                    tree.prove()
                    finding = .settled
                }
                start = end
            }
            if isLive { finding = tree.take(signed) }
            #expect(finding != .settled)
            #expect(tree.verified.size <= bad)
            let first = FollowedTree.firstBad(good: tree.verified.size, bad: tree.frontier.size) {
                tree.root(size: $0) == Self.frontier(leaves[..<Int($0)]).root
            }
            #expect(first == UInt64(bad) + 1)
        }
    }

    private static func consistency(_ leaves: [Digest], from: Int, to: Int) -> [Digest] {
        if from == to { return [] }
        return MerkleProof.consistency(from: UInt64(from), to: UInt64(to)).map {
            frontier(leaves[Int($0.lowerBound)..<Int($0.upperBound)]).root
        }
    }

    @Test("an older checkpoint changes nothing, and one of the same size must be the same")
    func older() throws {
        let leaves = Self.leaves(20)
        var tree = Self.empty
        _ = tree.take(try checkpoint(leaves))
        _ = append(leaves, to: &tree)
        let before = tree
        #expect(tree.take(try checkpoint(leaves[..<19])) == .older)
        #expect(tree == before)
        let other = try checkpoint(Self.leaves(20, salt: 1))
        #expect(tree.take(other) == .differs(from: other))
    }

    @Test("no more than so many lines are taken on trust")
    func bound() throws {
        var tree = FollowedTree(
            frontier: MerkleFrontier(), tiles: TreeTiles(), verified: MerkleFrontier(),
            unverified: Array(repeating: Digest.zero, count: FollowedTree.unverifiedMax))
        _ = tree.take(try checkpoint([]))
        #expect(!tree.takesLines)
    }
}

extension Digest {
    fileprivate static var zero: Digest { MerkleFrontier.leaf([UInt8]()) }
}
