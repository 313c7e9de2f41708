/// A message of PostgreSQL's wire protocol, version 3.
package struct PostgresMessage: Sendable, Equatable {
    /// The first byte of a message; 0 for the one that starts a session, which has none.
    package var type: UInt8
    /// The whole message as it is sent.
    package var bytes: [UInt8]

    /// What follows type and length.
    package var payload: ArraySlice<UInt8> { bytes[(type == 0 ? 4 : 5)...] }

    /// Whether the payload holds this text.
    package func holds(_ text: String) -> Bool {
        payload.firstRange(of: Array(text.utf8)) != nil
    }

    /// How many times the payload holds this text.
    package func count(of text: String) -> Int { payload.ranges(of: Array(text.utf8)).count }
}

/// Splits one direction of an unencrypted connection into its messages, whatever the pieces it
/// comes in.
package struct PostgresMessages: Sendable {
    /// Whether the next message is a session's first, which has no type.
    private var isStarting: Bool
    private var buffer: [UInt8] = []
    private var start = 0

    package init(fromClient: Bool) { isStarting = fromClient }

    package mutating func append(_ bytes: some Collection<UInt8>) {
        buffer.removeFirst(start)
        start = 0
        buffer += bytes
    }

    /// The next message, once it is complete.
    package mutating func next() -> PostgresMessage? {
        let lengthAt = start + (isStarting ? 0 : 1)
        guard buffer.count >= lengthAt + 4 else { return nil }
        let length = buffer[lengthAt..<lengthAt + 4].reduce(0) { $0 << 8 | Int($1) }
        let end = lengthAt + max(4, length)
        guard buffer.count >= end else { return nil }
        defer {
            start = end
            isStarting = false
        }
        return PostgresMessage(
            type: isStarting ? 0 : buffer[start], bytes: Array(buffer[start..<end]))
    }
}
