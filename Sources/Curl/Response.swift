/// The status and headers of a response.
package struct ResponseHead: Sendable {
    /// The status code.
    package var status: Int
    /// Names as the server spelled them, and values, in order.
    package var headers: [(String, String)]

    /// Makes a head; status 0 stands for one that has not come.
    package init(status: Int = 0, headers: [(String, String)] = []) {
        self.status = status
        self.headers = headers
    }

    /// The first header of that name, in whatever case.
    package func header(_ name: String) -> String? {
        let name = name.lowercased()
        return headers.first { $0.0.lowercased() == name }?.1
    }
}

/// A whole response.
package struct Response: Sendable {
    /// The status and headers.
    package var head: ResponseHead
    /// The body as it was sent.
    package var body: [UInt8]

    /// Makes a response; without arguments, one of which nothing has come.
    package init(head: ResponseHead = ResponseHead(), body: [UInt8] = []) {
        self.head = head
        self.body = body
    }

    /// The status code.
    package var status: Int { head.status }
    /// Names as the server spelled them, and values, in order.
    package var headers: [(String, String)] { head.headers }
}
