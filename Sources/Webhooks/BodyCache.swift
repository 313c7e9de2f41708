import Curl
import Gzip
import JSON

/// A request's body, and what the signature is over.
final class EncodedBody: Sendable {
    /// As the receiver reads it.
    let plain: [UInt8]
    /// As it is sent.
    let sent: RequestBody

    var byteCount: Int { plain.count + sent.count }

    init(_ plain: [UInt8], compresses: Bool) {
        self.plain = plain
        sent = RequestBody(compresses ? gzipped(plain) : plain)
    }
}

/// Bodies that were encoded lately: endpoints that get the same events in the same form share them.
struct BodyCache {
    /// What makes two bodies the same.
    struct Key: Hashable {
        /// The encoder with all that it was told.
        let form: String
        let first: Int64
        let last: Int64
        /// All positions in between, folded.
        let digest: Int

        init(form: String, positions: [Int64]) {
            self.form = form
            first = positions.first ?? 0
            last = positions.last ?? 0
            digest = positions.hashValue
        }
    }

    private static let bytesMax = 16 << 20

    private var bodies: [Key: EncodedBody] = [:]
    /// In the order in which they came.
    private var order: [Key] = []
    private var bytes = 0

    subscript(key: Key) -> EncodedBody? { bodies[key] }

    mutating func insert(_ body: EncodedBody, for key: Key) {
        guard body.byteCount < Self.bytesMax / 4, bodies[key] == nil else { return }
        bodies[key] = body
        order.append(key)
        bytes += body.byteCount
        while bytes > Self.bytesMax { forgetOlderHalf() }
    }

    private mutating func forgetOlderHalf() {
        let half = order.count / 2
        for key in order[..<half] {
            if let body = bodies.removeValue(forKey: key) { bytes -= body.byteCount }
        }
        order.removeFirst(half)
    }
}
