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

    /// Hashes one behind the other.
    package static func bytes(_ digests: [Digest]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digests.count * 32)
        for digest in digests { digest.withBytes { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// What ``bytes(_:)`` made bytes of; what is left over at the end is left out.
    package static func digests(_ bytes: [UInt8]) -> [Digest] {
        bytes.withUnsafeBytes { bytes in
            stride(from: 0, through: bytes.count - 32, by: 32).map { Digest(at: $0, in: bytes) }
        }
    }

    private init(at offset: Int, in bytes: UnsafeRawBufferPointer) {
        words = bytes.loadUnaligned(
            fromByteOffset: offset, as: (UInt64, UInt64, UInt64, UInt64).self)
    }

    /// Lends the bytes without making an array of them.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(of: words) { body($0) }
    }

    package var bytes: [UInt8] { withUnsafeBytes(of: words) { Array($0) } }

    /// Hexadecimal.
    package var description: String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

    func update(_ hash: inout SHA256) {
        withUnsafeBytes(of: words) { hash.update(bufferPointer: $0) }
    }
}
