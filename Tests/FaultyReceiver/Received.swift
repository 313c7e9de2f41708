/// A request that a `FaultyReceiver` has read to its end.
package struct Received: Sendable {
    /// The number of its connection, from 1.
    package var connection: Int
    /// Its number among the requests of its connection, from 1.
    package var numberOnConnection: Int
    /// When its last byte had been read.
    package var time: ContinuousClock.Instant
    /// The method.
    package var method: String
    /// The path with the query, as it was sent.
    package var path: String
    /// Names as they were sent, and values, in order.
    package var headers: [(String, String)]
    /// The body.
    package var body: [UInt8]

    /// The first header of that name, in whatever case.
    package func header(_ name: String) -> String? {
        headers.first { $0.0.lowercased() == name.lowercased() }?.1
    }

    /// The body as text.
    package var text: String { String(decoding: body, as: UTF8.self) }
}
