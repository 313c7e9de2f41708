import JSON

/// Segment's HTTP Tracking API: `Experiment Viewed` and `Score Recorded` as `track` calls.
///
/// The endpoint's URL is `https://api.segment.io/v1/batch`, or the region's own. The write key
/// stands in the body, as the API documents under “writeKey authentication”. Segment drops a
/// `messageId` that it has seen before.
///
/// A batch holds 500 KB and 2,500 events at most, an event less than 32 KB
/// (segment.com/docs/connections/sources/catalog/libraries/server/http-api, “Errors”).
struct SegmentEncoder: EventEncoder {
    static let name = "segment"
    let limits = BatchLimits(countMax: 2_500, bytesMax: 500_000, eventBytesMax: 31_999)
    let opening: [UInt8]
    let separator = Array(",".utf8)
    let closing = Array("]}".utf8)

    init(_ settings: EncoderSettings) throws(EncoderSettingsError) {
        let key = try settings.requiredAPIKey("the write key of the source", for: Self.name)
        opening =
            Array(#"{"writeKey":"#.utf8) + JSONValue.string(key).encoded
            + Array(#","batch":["#.utf8)
    }

    func carries(_ type: String) -> Bool { AnalyticsEvent.types.contains(type) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent) {
        let event = try AnalyticsEvent(event)
        body.appendJSON { writer in
            writer.beginObject()
            writer.key("type")
            writer.string("track")
            writer.key("messageId")
            writer.string(event.id.description)
            writer.key("userId")
            writer.string(event.unit)
            writer.key("event")
            writer.string(Self.eventName(event.kind))
            writer.time("timestamp", event.time)
            writer.key("properties")
            writer.beginObject()
            writer.properties(of: event)
            writer.endObject()
            writer.endObject()
        }
    }

    private static func eventName(_ kind: AnalyticsEvent.Kind) -> String {
        switch kind {
        case .exposure: "Experiment Viewed"
        case .score: "Score Recorded"
        }
    }
}
