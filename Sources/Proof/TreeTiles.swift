/// A row of ledger.tiles: a perfect subtree of 256^level leaves that is complete.
package struct TreeTile: Sendable, Equatable {
    package var level: Int
    /// Counted along the level: the tile covers the leaves from index · 256^level on.
    package var index: UInt64
    package var root: Digest
    /// The hashes of the 256 leaves; of level 1 alone.
    package var leaves: [Digest]?

    package init(level: Int, index: UInt64, root: Digest, leaves: [Digest]? = nil) {
        self.level = level
        self.index = index
        self.root = root
        self.leaves = leaves
    }
}

/// The open tile at a growing tree's right edge, from which complete ones fall off.
///
/// Invariant: ``leaves`` are the hashes of the last `size % 256` leaves of the frontier that every
/// append is given.
package struct TreeTiles: Sendable, Equatable {
    /// Of the tile that is not complete: at most 255.
    package private(set) var leaves: [Digest] = []

    /// Of the empty tree.
    package init() {}

    /// Goes on at a frontier with the leaves behind its last complete tile; nil if the frontier is
    /// not that of these leaves.
    package init?(at frontier: MerkleFrontier, leaves: [Digest]) {
        let open = frontier.size % UInt64(TreeGroup.width)
        guard UInt64(leaves.count) == open else { return nil }
        var edge = MerkleFrontier()
        for leaf in leaves { edge.append(leaf) }
        guard edge.roots == frontier.roots.suffix(open.nonzeroBitCount) else { return nil }
        self.leaves = leaves
        self.leaves.reserveCapacity(TreeGroup.width)
    }

    /// Appends a leaf to the tree; the tiles it completes are added to `completed`, lowest first.
    package mutating func append(
        _ leaf: Digest, to frontier: inout MerkleFrontier, completed: inout [TreeTile]
    ) {
        leaves.append(leaf)
        guard leaves.count == TreeGroup.width else { return frontier.append(leaf) }
        let index = frontier.size
        var tiles: [TreeTile] = []
        frontier.append(leaf) { height, node in
            guard height % TreeGroup.heights == 0 else { return }
            let level = height / TreeGroup.heights
            tiles.append(TreeTile(level: level, index: index >> UInt64(height), root: node))
        }
        tiles[0].leaves = leaves
        completed += tiles
        leaves.removeAll(keepingCapacity: true)
    }
}
