import Domain

/// An event as encoders see it: its line, and what was read from it already.
package struct OutgoingEvent: Sendable {
    /// In the log, from 1.
    package var position: Int64
    package var id: EventID
    /// As the log names it, as in `AssignmentMade`.
    package var type: String
    package var stream: String
    package var recordedAt: Timestamp
    /// Exactly as the feed sends it, without its line break; a slice of what the feed read.
    package var line: ArraySlice<UInt8>

    package init(
        position: Int64, id: EventID, type: String, stream: String, recordedAt: Timestamp,
        line: ArraySlice<UInt8>
    ) {
        self.position = position
        self.id = id
        self.type = type
        self.stream = stream
        self.recordedAt = recordedAt
        self.line = line
    }
}
