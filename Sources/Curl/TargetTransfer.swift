import CCurl
import Glibc

/// One of libcurl's easy handles, set up for a target once and then used for one request after
/// the other.
///
/// Its address is the context of all callbacks, so it must outlive the handle's time in the multi
/// handle.
final class TargetTransfer {
    let handle = EasyHandle()
    let permits: @Sendable (IPAddress) -> Bool
    private let options: Target.Options
    /// Alive for as long as the handle is in its multi handle.
    unowned let sockets: SocketPoller
    private let headers = HeaderChain()

    private(set) var id: UInt64 = 0
    /// Where the handle is set to send to.
    private var url: String
    private var method = "POST"
    /// Kept for as long as libcurl reads its headers, and to come back to it afterwards.
    private(set) var target: Target?
    private var body: RequestBody?
    /// How the transfer ended, between libcurl's word of it and the outcome.
    var code: CURLcode?

    private(set) var answer: Answer
    private var address: IPAddress?
    private var isAddressRefused = false
    private var hasOpenedSocket = false
    private var wasSent = false
    private var isResendRefused = false

    init(_ target: Target, _ sockets: SocketPoller) {
        options = target.options
        url = target.options.url
        permits = target.permits
        self.sockets = sockets
        answer = Answer(target.options)
        setFixedOptions(target.options)
    }

    /// Makes the transfer ready to send `body` once.
    func prepare(
        _ target: Target, url: String?, method: String, headers list: [Header],
        body: RequestBody, id: UInt64
    ) {
        let url = url ?? options.url
        if url != self.url {
            self.url = url
            handle.set(CURLOPT_URL, url)
        }
        if method != self.method {
            self.method = method
            handle.set(CURLOPT_CUSTOMREQUEST, method)
        }
        self.target = target
        self.body = body
        self.id = id
        handle.set(CURLOPT_HTTPHEADER, headers.fill(list, followedBy: target.fixedHeaders.first))
        handle.set(CURLOPT_POSTFIELDSIZE_LARGE, offset: body.count)
        body.withBytes { handle.set(CURLOPT_POSTFIELDS, $0.baseAddress) }
    }

    /// Why the request can't be sent; nil if libcurl took every option.
    var setupError: CurlError? {
        handle.setupError(url: url)
    }

    /// Forgets the request and its answer, and hands back the target.
    func finish() -> Target? {
        let target = target
        self.target = nil
        body = nil
        code = nil
        answer = Answer(options)
        address = nil
        isAddressRefused = false
        hasOpenedSocket = false
        wasSent = false
        isResendRefused = false
        handle.forgetError()
        return target
    }

    /// How the transfer ended, given libcurl's code for it.
    func outcome(_ code: CURLcode) -> Outcome {
        var microseconds = curl_off_t(0)
        curl_get_offset(handle.pointer, CURLINFO_TOTAL_TIME_T, &microseconds)
        return Outcome(
            status: answer.status, retryAfter: answer.status == 0 ? nil : answer.retryAfter,
            bodyStart: answer.bodyStart, isTruncated: answer.isTruncated,
            head: answer.status == 0 ? nil : answer.head, error: error(code), wasSent: wasSent,
            isReusedConnection: wasSent && !hasOpenedSocket,
            seconds: Double(microseconds) / 1e6, address: address)
    }

    private func error(_ code: CURLcode) -> CurlError? {
        if answer.isTruncated || code == CURLE_OK && answer.status != 0 {
            return nil
        }
        let place = CurlError.place(of: url)
        if isAddressRefused, let address {
            return CurlError(
                kind: .forbiddenAddress,
                description: "\(place) must not be connected to at \(address)")
        }
        guard wasSent, code != CURLE_OPERATION_TIMEDOUT else {
            return handle.error(code, url: url)
        }
        if answer.isHeadTooLarge {
            return CurlError(
                kind: .tooLarge,
                description: "\(place) sent more than \(options.headBytesMax) bytes of headers")
        }
        let words = handle.words(for: code)
        // So libcurl calls a line of a head or trailer that outgrows its own limit, 100 or 4 kB.
        if words.hasPrefix("Out of memory") {
            return CurlError(kind: .tooLarge, description: "\(place) sent too long a header")
        }
        let reason = isResendRefused ? "the connection broke before an answer came" : words
        return CurlError(
            kind: .broken, description: "the exchange with \(place) failed: \(reason)")
    }

    // MARK: What libcurl's callbacks tell

    /// Takes one line of the answer's head; false ends the transfer.
    func receive(line: UnsafeRawBufferPointer) -> Bool {
        answer.receive(line: line)
    }

    /// Takes a piece of the answer's body; false ends the transfer.
    func receive(body: UnsafeRawBufferPointer) -> Bool {
        answer.receive(body: body)
    }

    /// Decides whether a socket to an address is opened.
    func mayOpenSocket(to address: IPAddress?) -> Bool {
        guard isFirstSending(), let address else { return false }
        guard permits(address) else {
            // An address that was tried is the better explanation of a failure.
            if !hasOpenedSocket {
                self.address = address
                isAddressRefused = true
            }
            return false
        }
        self.address = address
        isAddressRefused = false
        hasOpenedSocket = true
        return true
    }

    /// Decides whether the request is sent over a connection to an address.
    func maySend(to address: IPAddress?) -> Bool {
        guard isFirstSending(), let address else { return false }
        self.address = address
        isAddressRefused = !permits(address)
        wasSent = !isAddressRefused
        return wasSent
    }

    /// Whether the request has not been sent yet: libcurl sends it again, over another connection,
    /// if a reused one breaks before the answer.
    private func isFirstSending() -> Bool {
        isResendRefused = wasSent
        return !wasSent
    }
}
