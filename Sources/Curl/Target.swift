/// Where requests go, with all that stays the same between them.
///
/// It belongs to the one `MultiTransfer` that sends to it, and to its thread. Thousands may exist
/// at once: one without transfers costs little more than its options and the handles it keeps for
/// the next ones.
package final class Target {
    /// What stays the same between the requests to a target.
    package struct Options: Sendable, Equatable {
        /// The whole URL, with its parts percent-encoded.
        package var url: String
        /// The headers that every request has, after its own.
        package var fixedHeaders: [Header]
        /// The limit for name look-up, connection and TLS handshake.
        package var connectTimeoutMilliseconds = 5_000
        /// The limit for the whole transfer, from name look-up to the last byte of the answer.
        package var timeoutMilliseconds = 15_000
        /// The most bytes of heads, interim ones with them, and trailers; more are an error.
        package var headBytesMax = 16 << 10
        /// The most bytes of an answer's body; what is beyond is cut off.
        package var bodyBytesMax = 64 << 10
        /// How many bytes of the body an outcome keeps, for people to read.
        package var bodyBytesKept = 1_024
        /// Whether outcomes keep the whole head.
        package var keepsHead = false
        /// The certificates that a TLS connection may be vouched for by; nil for the system's.
        package var caPEM: [UInt8]?
        /// The certificate chain that is shown to the other side.
        package var certificatePEM: [UInt8]?
        /// The private key of that certificate.
        package var keyPEM: [UInt8]?

        /// Makes options with the usual limits.
        package init(url: String, fixedHeaders: [Header] = []) {
            self.url = url
            self.fixedHeaders = fixedHeaders
        }
    }

    /// What stays the same between the requests.
    package let options: Options
    let permits: @Sendable (IPAddress) -> Bool
    /// What is wrong with the fixed headers; nil if they can be sent.
    private let reasonAgainstHeaders: String?
    let fixedHeaders: HeaderList
    private var idle: [TargetTransfer] = []
    /// Where those that are kept are counted.
    private var count: IdleCount?

    /// Makes a target; `permits` is asked about the address of every connection before a request
    /// is sent over it, whether the connection is new or reused.
    package init(_ options: Options, permits: @escaping @Sendable (IPAddress) -> Bool) {
        self.options = options
        self.permits = permits
        reasonAgainstHeaders = Header.reasonNotToSend(options.fixedHeaders)
        fixedHeaders = HeaderList(options.fixedHeaders.map { ($0.name, $0.value) })
    }

    /// What is wrong with the target and the URL that takes its own's place; nil if nothing is.
    func reasonNotToSend(to url: String?) -> String? {
        let breaksOut = (url ?? options.url).hasLineEndOrNUL
        return breaksOut ? "a line end or NUL in the request's URL" : reasonAgainstHeaders
    }

    deinit {
        count?.value -= idle.count
    }

    /// A transfer that has been used before, if one is left.
    func takeIdle() -> TargetTransfer? {
        guard let transfer = idle.popLast() else { return nil }
        count?.value -= 1
        return transfer
    }

    /// Keeps a transfer for the next request, unless enough are kept here or in all.
    func keepIdle(_ transfer: TargetTransfer, atMost countMax: Int, _ all: IdleCount) {
        guard idle.count < countMax, all.value < all.max else { return }
        idle.append(transfer)
        count = all
        all.value += 1
    }
}

/// How many transfers all targets of a `MultiTransfer` keep together.
final class IdleCount {
    let max: Int
    var value = 0

    init(max: Int) {
        self.max = max
    }
}
