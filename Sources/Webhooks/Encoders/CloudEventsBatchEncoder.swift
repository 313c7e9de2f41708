/// CloudEvents 1.0 in the batched mode: an array of what ``CloudEventsEncoder`` sends.
///
/// The specification sets no limits. Azure Event Grid, which takes batches of this form, allows
/// 1 MB (learn.microsoft.com, “Event Grid quotas and limits”), which other receivers allow too.
struct CloudEventsBatchEncoder: EventEncoder {
    static let name = "cloudevents-batch"
    let contentType = "application/cloudevents-batch+json"
    let limits = BatchLimits(countMax: 5_000, bytesMax: 1_000_000, eventBytesMax: .max)
    let opening = Array("[".utf8)
    let separator = Array(",".utf8)
    let closing = Array("]".utf8)

    private let writer: CloudEventWriter

    init(_ settings: EncoderSettings) { writer = CloudEventWriter(source: settings.source) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) { writer.append(event, to: &body) }
}
