import Crypto

/// A SHA-256 hash, held in place.
package struct Digest: Sendable, Hashable, CustomStringConvertible {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    package init(_ digest: SHA256.Digest) {
        words = digest.withUnsafeBytes {
            $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self)
        }
    }

    /// Nil unless there are 32 bytes.
    package init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == 32 else { return nil }
        words = Array(bytes).withUnsafeBytes {
            $0.loadUnaligned(as: (UInt64, UInt64, UInt64, UInt64).self)
        }
    }

    package var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }

    /// Hexadecimal.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    fileprivate func update(_ hash: inout SHA256) {
        withUnsafeBytes(of: words) { hash.update(bufferPointer: $0) }
    }
}

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

    package var bytes: [UInt8] { roots.flatMap(\.bytes) }

    /// The hash of a leaf: SHA-256(0x00 ‖ line).
    package static func leaf(_ line: [UInt8]) -> Digest {
        var hash = SHA256()
        withUnsafeBytes(of: UInt8(0x00)) { hash.update(bufferPointer: $0) }
        line.withUnsafeBytes { hash.update(bufferPointer: $0) }
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

    package mutating func append(_ leaf: Digest) {
        var node = leaf
        var carry = size
        while carry & 1 == 1, let left = roots.popLast() {
            node = Self.node(left, node)
            carry >>= 1
        }
        roots.append(node)
        size += 1
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    package var root: Digest {
        guard var root = roots.last else { return Digest(SHA256.hash(data: [UInt8]())) }
        for left in roots.dropLast().reversed() { root = Self.node(left, root) }
        return root
    }
}
