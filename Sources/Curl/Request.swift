/// An HTTP request.
package struct Request {
    /// The method, in upper case.
    package var method: String
    /// The whole URL, with its parts percent-encoded.
    package var url: String
    /// Names and values in the order in which they are sent.
    package var headers: [(String, String)]
    /// The body; nil sends none.
    package var body: [UInt8]?
    /// The limit for the whole exchange; nil sets none.
    package var timeoutMilliseconds: Int?
    /// The limit for name look-up, connection and TLS handshake.
    package var connectTimeoutMilliseconds: Int

    /// Makes a request.
    package init(
        method: String = "GET",
        url: String,
        headers: [(String, String)] = [],
        body: [UInt8]? = nil,
        timeoutMilliseconds: Int? = nil,
        connectTimeoutMilliseconds: Int = 10_000
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeoutMilliseconds = timeoutMilliseconds
        self.connectTimeoutMilliseconds = connectTimeoutMilliseconds
    }
}
