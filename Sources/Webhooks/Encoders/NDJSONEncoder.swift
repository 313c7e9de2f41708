/// Lines as the feed has them, each ended by a line break.
///
/// Receivers are unknown, so a body stays below what nginx takes without being told otherwise:
/// 1 MiB (nginx.org, `client_max_body_size`).
struct NDJSONEncoder: EventEncoder {
    static let name = "ndjson"
    let contentType = "application/x-ndjson"
    let limits = BatchLimits(countMax: 10_000, bytesMax: 1 << 20, eventBytesMax: .max)

    init(_ settings: EncoderSettings) {}

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) {
        body += event.line
        body.append(UInt8(ascii: "\n"))
    }
}
