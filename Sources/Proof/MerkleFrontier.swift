import Crypto

/// The right edge of an RFC 9162 Merkle tree: all that appending needs.
///
/// A tree of n leaves is the perfect subtrees of n's binary digits, largest first. Appending a leaf
/// merges equal neighbours like a carry, so it costs one hash for the leaf and, on average, one more.
package struct MerkleFrontier: Sendable, Equatable {
    /// Leaves in the tree.
    package private(set) var size: UInt64
    /// Roots of the perfect subtrees, largest first; as many as `size` has one bits.
    package private(set) var roots: [Digest]

    /// The empty tree.
    package init() {
        size = 0
        roots = []
    }

    /// Nil unless there are as many roots as the size asks for.
    package init?(size: UInt64, bytes: [UInt8]) {
        guard bytes.count == size.nonzeroBitCount * 32 else { return nil }
        self.size = size
        roots = stride(from: 0, to: bytes.count, by: 32).compactMap { Digest(bytes[$0..<$0 + 32]) }
    }

    /// Nil unless there are as many roots as the size asks for.
    package init?(size: UInt64, roots: [Digest]) {
        guard roots.count == size.nonzeroBitCount else { return nil }
        self.size = size
        self.roots = roots
    }

    package var bytes: [UInt8] { roots.flatMap(\.bytes) }

    /// The hash of a leaf: SHA-256(0x00 ‖ line).
    package static func leaf(_ line: [UInt8]) -> Digest { line.withUnsafeBytes { leaf($0) } }

    /// The hash of a leaf: SHA-256(0x00 ‖ line).
    package static func leaf(_ line: UnsafeRawBufferPointer) -> Digest {
        var hash = SHA256()
        withUnsafeBytes(of: UInt8(0x00)) { hash.update(bufferPointer: $0) }
        hash.update(bufferPointer: line)
        return Digest(hash.finalize())
    }

    /// The hash of a node: SHA-256(0x01 ‖ left ‖ right).
    package static func node(_ left: Digest, _ right: Digest) -> Digest {
        var hash = SHA256()
        withUnsafeBytes(of: UInt8(0x01)) { hash.update(bufferPointer: $0) }
        left.update(&hash)
        right.update(&hash)
        return Digest(hash.finalize())
    }

    package mutating func append(_ leaf: Digest) { append(leaf) { _, _ in } }

    /// Appends a leaf, and tells each node that it completes, with the node's height.
    @inline(__always)
    mutating func append(_ leaf: Digest, completed: (_ height: Int, _ node: Digest) -> Void) {
        var node = leaf
        var carry = size
        var height = 0
        while carry & 1 == 1, let left = roots.popLast() {
            node = Self.node(left, node)
            carry >>= 1
            height += 1
            completed(height, node)
        }
        roots.append(node)
        size += 1
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    package var root: Digest { Self.fold(roots) ?? Digest(SHA256.hash(data: [UInt8]())) }

    /// The root over the roots of perfect subtrees, largest first; nil if there is none.
    package static func fold(_ roots: some BidirectionalCollection<Digest>) -> Digest? {
        guard var root = roots.last else { return nil }
        for left in roots.dropLast().reversed() { root = Self.node(left, root) }
        return root
    }
}
