/// One event per request, as Standard Webhooks advises: `type`, `timestamp` and the line as `data`.
///
///     {"type":"assignment.made","timestamp":"2026-01-02T03:04:05.678901Z","data":{"position":1,…}}
///
/// The specification sets no limits; it advises payloads below 20 KB
/// (standard-webhooks.com, “Payload size”).
struct StandardWebhooksEncoder: EventEncoder {
    static let name = "standard-webhooks"
    let limits = BatchLimits.single

    private static let beforeType = Array(#"{"type":""#.utf8)
    private static let beforeTimestamp = Array(#"","timestamp":""#.utf8)
    private static let beforeData = Array(#"","data":"#.utf8)

    init(_ settings: EncoderSettings) {}

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) {
        body.reserveCapacity(body.count + event.line.count + 128)
        body += Self.beforeType
        body += DottedType.bytes(of: event.type)
        body += Self.beforeTimestamp
        body += event.recordedAt.bytes
        body += Self.beforeData
        body += event.line
        body.append(UInt8(ascii: "}"))
    }
}
