/// Leaves of the tree, counted from 0.
package typealias TreeRange = Range<UInt64>

/// A perfect subtree: the 2^height leaves from index · 2^height on.
package struct TreeNode: Sendable, Hashable {
    package var height: Int
    package var index: UInt64

    package init(height: Int, index: UInt64) {
        self.height = height
        self.index = index
    }

    /// The perfect subtrees that make up a range, from left to right.
    ///
    /// The range is one that proofs name: it starts where a subtree of its size may start.
    package static func covering(_ range: TreeRange) -> [TreeNode] {
        var nodes: [TreeNode] = []
        var start = range.lowerBound
        while start < range.upperBound {
            let height = 63 - (range.upperBound - start).leadingZeroBitCount
            nodes.append(TreeNode(height: height, index: start >> UInt64(height)))
            start += 1 << UInt64(height)
        }
        return nodes
    }

    /// The group of hashes from which the node's own can be computed.
    package var group: TreeGroup {
        let level = height / TreeGroup.heights
        let shift = UInt64(TreeGroup.heights * (level + 1) - height)
        return TreeGroup(level: level, index: index >> shift)
    }

    /// The node's hash, from the hashes of its group; nil where they don't reach so far.
    package func hash(in group: [Digest]) -> Digest? {
        let count = 1 << (height % TreeGroup.heights)
        let start = Int(index % UInt64(TreeGroup.width / count)) * count
        guard start + count <= group.count else { return nil }
        var hashes = Array(group[start..<start + count])
        while hashes.count > 1 {
            hashes = stride(from: 0, to: hashes.count, by: 2).map {
                MerkleFrontier.node(hashes[$0], hashes[$0 + 1])
            }
        }
        return hashes.first
    }
}

/// What is read at once to compute hashes: up to 256 neighbours, 8 · level above the leaves.
///
/// A group of level 0 is the hashes of a tile's leaves; one of level n the roots of 256 tiles of
/// level n.
package struct TreeGroup: Sendable, Hashable {
    /// Heights of nodes that one group gives.
    package static let heights = 8
    package static let width = 1 << heights

    package var level: Int
    package var index: UInt64

    package init(level: Int, index: UInt64) {
        self.level = level
        self.index = index
    }

    /// The hashes there are in the group of a tree of so many leaves, counted along its level.
    package func members(size: UInt64) -> TreeRange {
        let all = size >> UInt64(Self.heights * level)
        let start = index * UInt64(Self.width)
        return min(start, all)..<min(start + UInt64(Self.width), all)
    }
}

/// The hashes of ranges, computed from groups that are read at once.
package struct TreeReading: Sendable {
    package let ranges: [TreeRange]
    /// What has to be read, each group once.
    package let groups: [TreeGroup]

    package init(_ ranges: [TreeRange]) {
        self.ranges = ranges
        var seen: Set<TreeGroup> = []
        groups = ranges.flatMap { TreeNode.covering($0) }.map(\.group)
            .filter { seen.insert($0).inserted }
    }

    /// The hash of each range; nil where the groups lack something.
    package func hashes(_ groups: [TreeGroup: [Digest]]) -> [Digest]? {
        var hashes: [Digest] = []
        for range in ranges {
            guard let hash = nodes(of: range, groups).flatMap({ MerkleFrontier.fold($0) }) else {
                return nil
            }
            hashes.append(hash)
        }
        return hashes
    }

    /// The tree's right edge at a size of which ``ranges`` has the whole, `0..<size`.
    package func frontier(size: UInt64, _ groups: [TreeGroup: [Digest]]) -> MerkleFrontier? {
        nodes(of: 0..<size, groups).flatMap { MerkleFrontier(size: size, roots: $0) }
    }

    private func nodes(of range: TreeRange, _ groups: [TreeGroup: [Digest]]) -> [Digest]? {
        var hashes: [Digest] = []
        for node in TreeNode.covering(range) {
            guard let hash = groups[node.group].flatMap({ node.hash(in: $0) }) else { return nil }
            hashes.append(hash)
        }
        return hashes
    }
}
