import SeededRandomness
import Testing

@testable import Proof

/// The tree as the RFC defines it, by recursion over all its leaves.
private func bruteForceRoot(_ leaves: ArraySlice<Digest>) -> Digest {
    if leaves.count <= 1 { return leaves.first ?? MerkleFrontier().root }
    var split = 1
    while split * 2 < leaves.count { split *= 2 }
    return MerkleFrontier.node(
        bruteForceRoot(leaves.prefix(split)), bruteForceRoot(leaves.dropFirst(split)))
}

private func leaves(_ count: Int) -> [Digest] {
    (0..<count).map { MerkleFrontier.leaf(Array("leaf \($0)".utf8)) }
}

private func hashes(_ ranges: [TreeRange], _ leaves: [Digest]) -> [Digest] {
    ranges.map { bruteForceRoot(leaves[Int($0.lowerBound)..<Int($0.upperBound)]) }
}

/// The same hash with one bit turned.
private func turned(_ digest: Digest, _ bit: Int) -> Digest {
    var bytes = digest.bytes
    bytes[bit / 8 % 32] ^= 1 << UInt8(bit % 8)
    return Digest(bytes) ?? digest
}

@Suite struct MerkleProofTests {
    private static let sizeMax = 70

    @Test func everyLeafOfEverySmallTreeIsProven() {
        let all = leaves(Self.sizeMax)
        for size in 1...Self.sizeMax {
            let root = bruteForceRoot(all[..<size])
            for index in 0..<size {
                let proof = hashes(
                    MerkleProof.inclusion(of: UInt64(index), in: UInt64(size)), all)
                func holds(
                    _ leaf: Digest, _ index: Int, _ size: Int, _ proof: [Digest], _ root: Digest
                ) -> Bool {
                    MerkleProof.verifyInclusion(
                        of: leaf, at: UInt64(index), size: UInt64(size), hashes: proof, root: root)
                }
                #expect(holds(all[index], index, size, proof, root))
                #expect(!holds(turned(all[index], index), index, size, proof, root))
                #expect(!holds(all[index], index, size, proof, turned(root, size)))
                #expect(!holds(all[index], index, size, proof + [root], root))
                #expect(!holds(all[index], size, size, proof, root))
                for hash in proof.indices {
                    var wrong = proof
                    wrong[hash] = turned(wrong[hash], index + size)
                    #expect(!holds(all[index], index, size, wrong, root))
                    wrong.remove(at: hash)
                    #expect(!holds(all[index], index, size, wrong, root))
                }
            }
        }
    }

    @Test func everyPairOfSmallTreesIsProvenConsistent() {
        let all = leaves(Self.sizeMax)
        let roots = (0...Self.sizeMax).map { bruteForceRoot(all[..<$0]) }
        for new in 1...Self.sizeMax {
            for old in 1...new {
                let proof = hashes(
                    MerkleProof.consistency(from: UInt64(old), to: UInt64(new)), all)
                func holds(_ oldRoot: Digest, _ newRoot: Digest, _ proof: [Digest]) -> Bool {
                    MerkleProof.verifyConsistency(
                        from: UInt64(old), oldRoot, to: UInt64(new), newRoot, hashes: proof)
                }
                #expect(holds(roots[old], roots[new], proof))
                #expect(!holds(turned(roots[old], new), roots[new], proof))
                #expect(!holds(roots[old], turned(roots[new], old), proof))
                #expect(!holds(roots[old], roots[new], proof + [roots[old]]))
                for hash in proof.indices {
                    var wrong = proof
                    wrong[hash] = turned(wrong[hash], old + new)
                    #expect(!holds(roots[old], roots[new], wrong))
                    wrong.remove(at: hash)
                    #expect(!holds(roots[old], roots[new], wrong))
                }
            }
        }
    }

    @Test func noTreeIsConsistentWithNothingOrWithASmallerOne() {
        let root = leaves(1)[0]
        #expect(
            !MerkleProof.verifyConsistency(from: 0, root, to: 1, root, hashes: []))
        #expect(
            !MerkleProof.verifyConsistency(from: 2, root, to: 1, root, hashes: []))
        #expect(!MerkleProof.verifyConsistency(from: 1, root, to: 2, root, hashes: []))
    }

    @Test func aProofIsAsLongAsTheTreeIsHigh() {
        #expect(MerkleProof.inclusion(of: 0, in: 1).isEmpty)
        #expect(MerkleProof.inclusion(of: 5, in: 1 << 40).count == 40)
        #expect(MerkleProof.consistency(from: 1 << 39, to: 1 << 40).count == 1)
        #expect(MerkleProof.inclusion(of: (1 << 62) + 1, in: (1 << 62) + 2).count == 2)
    }
}

@Suite struct TreeTilesTests {
    /// A tree built leaf by leaf, with the tiles that fell off.
    private struct Tree {
        var frontier = MerkleFrontier()
        var open = TreeTiles()
        var rows: [TreeTile] = []

        init(_ leaves: [Digest]) {
            for leaf in leaves { open.append(leaf, to: &frontier, completed: &rows) }
        }

        /// What a table of the rows gives of a group.
        func group(_ group: TreeGroup) -> [Digest] {
            let tile = rows.first { $0.level == 1 && $0.index == group.index }
            if group.level == 0 { return tile?.leaves ?? open.leaves }
            let members = group.members(size: frontier.size)
            return rows.filter { $0.level == group.level && members.contains($0.index) }
                .map(\.root)
        }

        func hashes(_ ranges: [TreeRange]) -> [Digest]? {
            let reading = TreeReading(ranges)
            let groups = Dictionary(uniqueKeysWithValues: reading.groups.map { ($0, group($0)) })
            return reading.hashes(groups)
        }
    }

    @Test func tilesGiveTheHashesThatTheLeavesGive() {
        var generator = SeededGenerator()
        let all = leaves(66_000)
        let tree = Tree(all)
        #expect(tree.rows.map(\.level).max() == 2 && tree.open.leaves.count == 66_000 % 256)
        for _ in 0..<40 {
            let new = Int.random(in: 1...all.count, using: &generator)
            let old = Int.random(in: 1...new, using: &generator)
            let index = Int.random(in: 0..<new, using: &generator)
            for ranges in [
                [0..<UInt64(new)], MerkleProof.inclusion(of: UInt64(index), in: UInt64(new)),
                MerkleProof.consistency(from: UInt64(old), to: UInt64(new)),
            ] {
                #expect(tree.hashes(ranges) == hashes(ranges, all), "\(old) \(new) \(index)")
            }
        }
    }

    @Test func theOpenTileGoesOnWhereItStopped() throws {
        let all = leaves(600)
        for size in [0, 1, 255, 256, 257, 300, 511, 512] {
            let start = Tree(Array(all[..<size]))
            var tree = start
            tree.open = try #require(
                TreeTiles(at: start.frontier, leaves: Array(all[(size / 256 * 256)..<size])))
            #expect(tree.open == start.open)
            for leaf in all[size...] {
                tree.open.append(leaf, to: &tree.frontier, completed: &tree.rows)
            }
            #expect(tree.rows == Tree(all).rows)
        }
    }

    @Test func anOpenTileOfOtherLeavesIsRefused() {
        let tree = Tree(leaves(300))
        var wrong = tree.open.leaves
        #expect(TreeTiles(at: tree.frontier, leaves: wrong) != nil)
        wrong[20] = turned(wrong[20], 7)
        #expect(TreeTiles(at: tree.frontier, leaves: wrong) == nil)
        #expect(TreeTiles(at: tree.frontier, leaves: Array(wrong.dropLast())) == nil)
    }

    @Test func aGroupThatIsCutShortGivesNothing() {
        let reading = TreeReading([0..<4])
        #expect(reading.groups == [TreeGroup(level: 0, index: 0)])
        #expect(reading.hashes([TreeGroup(level: 0, index: 0): leaves(3)]) == nil)
        #expect(reading.hashes([:]) == nil)
    }
}
