import JSON

/// What an event's line holds besides what ``OutgoingEvent`` says already.
struct RecordedLine {
    private(set) var version: Int64 = 0
    private(set) var actor = ""
    private(set) var correlation: String?
    /// Exactly the text that was recorded.
    private(set) var data: [UInt8] = []

    init(_ event: OutgoingEvent) throws(UnreadableEvent) {
        do throws(JSONError) { try read(Array(event.line)) } catch {
            throw UnreadableEvent(position: event.position, reason: "\(error)")
        }
    }

    private mutating func read(_ line: [UInt8]) throws(JSONError) {
        var read = self
        try scanning(line) { scanner throws(JSONError) in
            try scanner.object { scanner, key throws(JSONError) in
                switch key {
                case "version": read.version = try scanner.integer() ?? 0
                case "actor": read.actor = try scanner.string()
                case "correlation": read.correlation = try scanner.string()
                case "data": read.data = try scanner.span()
                default: try scanner.skip()
                }
            }
        }
        self = read
    }
}

/// The members of an event's data that analysts ask for; nil where it has none of that kind.
struct RecordedData {
    private(set) var experiment: String?
    private(set) var function: String?
    private(set) var subject: String?
    private(set) var run: String?
    private(set) var variant: String?
    private(set) var cohort: Int64?
    private(set) var definition: Int64?
    private(set) var name: String?
    /// Of a score; 1 and 0 for true and false, as the ledger aggregates them.
    private(set) var value: Double?
    private(set) var occurredAt: String?

    init(_ line: RecordedLine, of event: OutgoingEvent) throws(UnreadableEvent) {
        do throws(JSONError) { try read(line.data) } catch {
            throw UnreadableEvent(position: event.position, reason: "\(error)")
        }
    }

    private mutating func read(_ data: [UInt8]) throws(JSONError) {
        var read = self
        try scanning(data) { scanner throws(JSONError) in
            try scanner.object { scanner, key throws(JSONError) in try read.member(key, &scanner) }
        }
        self = read
    }

    private mutating func member(
        _ key: String, _ scanner: inout JSONScanner
    ) throws(JSONError) {
        switch key {
        case "experiment": experiment = try scanner.text()
        case "function": function = try scanner.text()
        case "subject": subject = try scanner.text()
        case "run": run = try scanner.text()
        case "variant": variant = try scanner.text()
        case "cohort": cohort = try scanner.integer()
        case "definition": definition = try scanner.integer()
        case "name": name = try scanner.text()
        case "value": value = try scanner.measure()
        case "occurredAt": occurredAt = try scanner.text()
        default: try scanner.skip()
        }
    }
}

/// Values of one kind; anything else is passed over, since events of other types use the same
/// names for objects.
extension JSONScanner {
    fileprivate mutating func text() throws(JSONError) -> String? {
        guard peek() == UInt8(ascii: "\"") else {
            try skip()
            return nil
        }
        return try string()
    }

    fileprivate mutating func integer() throws(JSONError) -> Int64? { try value().integer }

    fileprivate mutating func measure() throws(JSONError) -> Double? {
        let value = try value()
        return value.bool.map { $0 ? 1 : 0 } ?? value.double
    }
}
