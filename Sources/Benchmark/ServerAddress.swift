import Curl

/// Where a server is asked, and with which key.
struct ServerAddress: Sendable {
    let url: String
    var key: String?

    /// A request with a JSON body; an empty one is left out.
    func request(
        _ method: String, _ path: String, _ body: String = "", idempotencyKey: String? = nil,
        timeoutMilliseconds: Int = 60_000
    ) -> Request {
        var headers = [("Content-Type", "application/json")]
        if let key { headers.append(("Authorization", "Bearer \(key)")) }
        if let idempotencyKey { headers.append(("Idempotency-Key", idempotencyKey)) }
        return Request(
            method: method, url: url + path, headers: headers,
            body: body.isEmpty && method == "GET" ? nil : Array(body.utf8),
            timeoutMilliseconds: timeoutMilliseconds)
    }

    /// The body of the answer, which has to be a good one.
    func send(
        _ method: String, _ path: String, _ body: String = "",
        over transfer: Transfer = Transfer()
    ) throws -> [UInt8] {
        let response = try transfer.perform(request(method, path, body))
        guard (200..<300).contains(response.status) else {
            throw BenchmarkError(
                "\(method) \(path): \(response.status) "
                    + String(decoding: response.body.prefix(500), as: UTF8.self))
        }
        return response.body
    }
}
