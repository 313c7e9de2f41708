import JSON

/// CloudEvents 1.0 in the structured mode: one event per request, with the line as `data`.
///
///     {"specversion":"1.0","id":"UUID","source":"…","type":"ledger.assignment.made",
///      "subject":"assignment/HERO/u-1","time":"2026-01-02T03:04:05.678901Z",
///      "sequence":"0000000000000000042","datacontenttype":"application/json","data":{…}}
///
/// `sequence` is the position, with as many zeros as make it sort as a text (CloudEvents,
/// extension “Sequence”). The specification sets no limits; it lets intermediaries refuse events
/// over 64 KiB (CloudEvents 1.0.2, “Size Limits”).
struct CloudEventsEncoder: EventEncoder {
    static let name = "cloudevents"
    let contentType = "application/cloudevents+json"
    let limits = BatchLimits.single

    private let writer: CloudEventWriter

    init(_ settings: EncoderSettings) { writer = CloudEventWriter(source: settings.source) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) { writer.append(event, to: &body) }
}

/// Writes one event as CloudEvents in JSON has it.
struct CloudEventWriter {
    /// `source` as a JSON string, written once.
    private let source: [UInt8]

    private static let beforeID = Array(#"{"specversion":"1.0","id":""#.utf8)
    private static let beforeSource = Array(#"","source":"#.utf8)
    private static let beforeType = Array(#","type":"ledger."#.utf8)
    private static let beforeSubject = Array(#"","subject":"#.utf8)
    private static let beforeTime = Array(#","time":""#.utf8)
    private static let beforeSequence = Array(#"","sequence":""#.utf8)
    private static let beforeData = Array(
        #"","datacontenttype":"application/json","data":"#.utf8)

    /// The digits of the largest position.
    private static let sequenceDigits = 19

    init(source: String) { self.source = JSONValue.string(source).encoded }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) {
        body.reserveCapacity(body.count + event.line.count + 512)
        body += Self.beforeID
        event.id.append(to: &body)
        body += Self.beforeSource
        body += source
        body += Self.beforeType
        body += DottedType.bytes(of: event.type)
        body += Self.beforeSubject
        body.appendJSON { $0.string(event.stream) }
        body += Self.beforeTime
        body += event.recordedAt.bytes
        body += Self.beforeSequence
        let digits = String(event.position).utf8
        body += repeatElement(UInt8(ascii: "0"), count: max(0, Self.sequenceDigits - digits.count))
        body += digits
        body += Self.beforeData
        body += event.line
        body.append(UInt8(ascii: "}"))
    }
}
