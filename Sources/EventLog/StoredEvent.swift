import Domain
import JSON

/// An event as it stands in the log.
///
/// Its line is its one exact form: what the feed sends, what an export holds, what is hashed.
///
///     {"position":1,"id":"UUID","stream":"experiment/HERO","version":1,
///      "type":"ExperimentCreated","recordedAt":"2026-01-02T03:04:05.678901Z",
///      "actor":"key/ci","data":{…},"correlation":"…"}
///
/// in one line without the breaks, `correlation` only where there is one. Strings escape `"`, `\`
/// and U+0000–U+001F alone. `data` is the exact text that was first recorded.
package struct StoredEvent: Sendable, Equatable {
    /// Counts all events from 1, without a gap.
    package var position: Int64
    package var id: EventID
    package var stream: String
    /// Counts the events of the stream from 1.
    package var version: Int64
    package var type: String
    /// Never decreases from one position to the next.
    package var recordedAt: Timestamp
    package var actor: String
    /// JSON text.
    package var data: [UInt8]
    package var correlation: String?

    package init(
        position: Int64, id: EventID, stream: String, version: Int64, type: String,
        recordedAt: Timestamp, actor: String, data: [UInt8], correlation: String? = nil
    ) {
        self.position = position
        self.id = id
        self.stream = stream
        self.version = version
        self.type = type
        self.recordedAt = recordedAt
        self.actor = actor
        self.data = data
        self.correlation = correlation
    }

    /// Appends the event's line, without a line break.
    package func writeLine(to writer: inout JSONWriter) {
        writer.line(
            position: position, id: id, stream: stream, version: version, type: type,
            recordedAt: recordedAt.bytes, actor: actor, data: data, correlation: correlation)
    }

    /// The event's line, without a line break.
    package var line: [UInt8] {
        var writer = JSONWriter(capacity: data.count + 256)
        writeLine(to: &writer)
        return writer.bytes
    }

    /// What the event says; an error names what its data lacks.
    package func decoded() throws -> LedgerEvent {
        try LedgerEvent(type: type, data: try JSONValue.parse(data))
    }

    package var context: EventContext {
        EventContext(position: position, recordedAt: recordedAt)
    }
}

extension JSONWriter {
    /// Writes a line from its parts; the one place that knows their order.
    mutating func line(
        position: Int64, id: EventID, stream: String, version: Int64, type: String,
        recordedAt: [UInt8], actor: String, data: [UInt8], correlation: String?
    ) {
        beginObject()
        key("position")
        integer(position)
        key("id")
        bytes.append(UInt8(ascii: "\""))
        id.append(to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        key("stream")
        string(stream)
        key("version")
        integer(version)
        key("type")
        string(type)
        key("recordedAt")
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: recordedAt)
        bytes.append(UInt8(ascii: "\""))
        key("actor")
        string(actor)
        key("data")
        raw(data)
        if let correlation {
            key("correlation")
            string(correlation)
        }
        endObject()
    }
}

/// A text is not the exact line of an event.
package struct LineError: Error, Sendable, CustomStringConvertible {
    package let description: String
}

extension StoredEvent {
    /// Reads a line; refused unless writing the event again gives the same bytes.
    package init(line: [UInt8]) throws(LineError) {
        let event: StoredEvent?
        do throws(JSONError) { event = try Self.read(line) } catch {
            throw LineError(description: error.description)
        }
        guard let event else { throw LineError(description: "a member is missing or malformed") }
        guard event.line == line else {
            throw LineError(description: "the line is not in its exact form")
        }
        self = event
    }

    private static func read(_ line: [UInt8]) throws(JSONError) -> StoredEvent? {
        try scanning(line) { scanner throws(JSONError) -> StoredEvent? in
            var numbers: [String: Int64] = [:]
            var texts: [String: String] = [:]
            var data: [UInt8] = []
            try scanner.object { scanner, key throws(JSONError) in
                switch key {
                case "position", "version": numbers[key] = try scanner.number().integer
                case "data": data = try scanner.span()
                default: texts[key] = try scanner.string()
                }
            }
            try scanner.end()
            guard let position = numbers["position"], let version = numbers["version"],
                let id = texts["id"].flatMap({ EventID($0) }), let stream = texts["stream"],
                let type = texts["type"], let actor = texts["actor"], !data.isEmpty,
                let recordedAt = texts["recordedAt"].flatMap({ Timestamp($0) })
            else { return nil }
            return StoredEvent(
                position: position, id: id, stream: stream, version: version, type: type,
                recordedAt: recordedAt, actor: actor, data: data,
                correlation: texts["correlation"])
        }
    }
}
