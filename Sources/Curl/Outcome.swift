/// How one transfer of a `MultiTransfer` ended.
package struct Outcome: Sendable {
    /// The status of the final answer; 0 if its head did not come.
    package var status = 0
    /// The value of the answer's `Retry-After`.
    package var retryAfter: String?
    /// The first bytes of the answer's body.
    package var bodyStart: [UInt8] = []
    /// Whether the body was longer than allowed, so that its rest was not waited for.
    package var isTruncated = false
    /// The whole head of the final answer, if the target keeps heads.
    package var head: ResponseHead?
    /// Why the exchange did not end as it should; there may be a status all the same.
    package var error: CurlError?
    /// Whether the request could have reached the other side: if false, it has not been sent.
    package var wasSent = false
    /// Whether the request was sent over a connection that an earlier one had left open.
    package var isReusedConnection = false
    /// How long the transfer took, from its start to its end.
    package var seconds = 0.0
    /// The address that the request was sent to, or that was refused.
    package var address: IPAddress?
}

extension Outcome {
    /// The outcome of a transfer that did not run to its end.
    package init(error: CurlError, wasSent: Bool = false) {
        self.init()
        self.error = error
        self.wasSent = wasSent
    }
}
