/// Inclusion and consistency proofs after RFC 9162, sections 2.1.3 and 2.1.4.
///
/// A proof is a list of hashes, each the hash of a range of leaves. Making one is naming the ranges;
/// where their hashes come from is the caller's affair (``TreeRange``, ``TreeNode``). Checking one
/// needs nothing but the proof.
package enum MerkleProof {
    /// The ranges whose hashes prove that a leaf is in the tree of a size; `index` < `size`.
    package static func inclusion(of index: UInt64, in size: UInt64) -> [TreeRange] {
        precondition(index < size, "leaf \(index) is not in a tree of \(size)")
        var path: [TreeRange] = []
        var (start, end) = (UInt64(0), size)
        while end - start > 1 {
            let middle = start + split(end - start)
            if index < middle {
                path.append(middle..<end)
                end = middle
            } else {
                path.append(start..<middle)
                start = middle
            }
        }
        return path.reversed()
    }

    /// The ranges whose hashes prove that the tree of one size begins with that of another;
    /// 0 < `old` ≤ `new`.
    package static func consistency(from old: UInt64, to new: UInt64) -> [TreeRange] {
        precondition(0 < old && old <= new, "no tree of \(new) leaves extends one of \(old)")
        var path: [TreeRange] = []
        var (start, end) = (UInt64(0), new)
        // Whether the old tree ends where this subtree does, and so is known to the verifier.
        while end != old {
            let middle = start + split(end - start)
            if old <= middle {
                path.append(middle..<end)
                end = middle
            } else {
                path.append(start..<middle)
                start = middle
            }
        }
        if start > 0 { path.append(start..<end) }
        return path.reversed()
    }

    /// The largest power of two smaller than a count of at least two.
    private static func split(_ count: UInt64) -> UInt64 {
        1 << UInt64(63 - (count - 1).leadingZeroBitCount)
    }

    /// Whether a leaf's hash is at `index` of the tree of `size` leaves that has this root.
    package static func verifyInclusion(
        of leaf: Digest, at index: UInt64, size: UInt64, hashes: [Digest], root: Digest
    ) -> Bool {
        guard index < size else { return false }
        var (node, last) = (index, size - 1)
        var hash = leaf
        for sibling in hashes {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                hash = MerkleFrontier.node(sibling, hash)
                while node & 1 == 0, node > 0 { (node, last) = (node >> 1, last >> 1) }
            } else {
                hash = MerkleFrontier.node(hash, sibling)
            }
            (node, last) = (node >> 1, last >> 1)
        }
        return last == 0 && hash == root
    }

    /// Whether the tree of `new` leaves with `newRoot` begins with that of `old` leaves with
    /// `oldRoot`.
    package static func verifyConsistency(
        from old: UInt64, _ oldRoot: Digest, to new: UInt64, _ newRoot: Digest, hashes: [Digest]
    ) -> Bool {
        guard 0 < old, old <= new else { return false }
        if old == new { return hashes.isEmpty && oldRoot == newRoot }
        var rest = hashes[...]
        // A perfect old tree is a subtree of the new one, and its root the first hash.
        guard let first = old.nonzeroBitCount == 1 ? oldRoot : rest.popFirst() else { return false }
        let height = old.trailingZeroBitCount
        var (node, last) = ((old - 1) >> height, (new - 1) >> height)
        var (oldHash, newHash) = (first, first)
        for sibling in rest {
            guard last > 0 else { return false }
            if node & 1 == 1 || node == last {
                oldHash = MerkleFrontier.node(sibling, oldHash)
                newHash = MerkleFrontier.node(sibling, newHash)
                while node & 1 == 0, node > 0 { (node, last) = (node >> 1, last >> 1) }
            } else {
                newHash = MerkleFrontier.node(newHash, sibling)
            }
            (node, last) = (node >> 1, last >> 1)
        }
        return last == 0 && oldHash == oldRoot && newHash == newRoot
    }
}
