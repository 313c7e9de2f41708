import JSON

/// Snowplow's tracker protocol: exposures as self-describing events.
///
/// The endpoint's URL is `https://COLLECTOR/com.snowplowanalytics.snowplow/tp2`. The events are of
/// the schema `iglu:ledger/experiment_viewed/jsonschema/1-0-0`, which the pipeline's Iglu registry
/// must hold: an object of the strings `experiment_id`, `variation_id`, `user_id` and `timestamp`
/// (a `date-time`), the columns that GrowthBook asks for. All but the timestamp have up to 1,024
/// characters.
///
/// `ttm`, the true timestamp, is the one Snowplow keeps; a tracker's clock would be corrected by
/// the collector's.
///
/// The collector splits what is over the 1,000,000 bytes its sinks take (docs.snowplow.io,
/// “Collector configuration reference”, `maxBytes`), and turns larger events into failed ones.
struct SnowplowEncoder: EventEncoder {
    static let name = "snowplow"
    let contentType = "application/json; charset=utf-8"
    let limits = BatchLimits(countMax: 500, bytesMax: 1_000_000, eventBytesMax: 900_000)
    let opening = Array(
        """
        {"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[
        """.utf8)
    let separator = Array(",".utf8)
    let closing = Array("]}".utf8)

    /// The most characters of `user_id` in Snowplow's own columns.
    private static let userIDCharactersMax = 255

    private let source: String

    init(_ settings: EncoderSettings) { source = settings.source }

    func carries(_ type: String) -> Bool { AnalyticsEvent.exposureTypes.contains(type) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent) {
        let event = try AnalyticsEvent(event)
        let milliseconds = String(event.time.microseconds / 1_000)
        body.appendJSON { writer in
            writer.beginObject()
            for (name, value) in [
                ("e", "ue"), ("p", "srv"), ("tv", "ledger-1"), ("tna", "ledger"), ("aid", source),
                ("eid", event.id.description), ("dtm", milliseconds), ("ttm", milliseconds),
            ] as [(StaticString, String)] {
                writer.key(name)
                writer.string(value)
            }
            if event.unit.unicodeScalars.count <= Self.userIDCharactersMax {
                writer.key("uid")
                writer.string(event.unit)
            }
            writer.key("ue_pr")
            writer.string(Self.selfDescribing(event))
            writer.endObject()
        }
    }

    /// What the event says, wrapped as the protocol wraps every event of a schema.
    private static func selfDescribing(_ event: AnalyticsEvent) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("schema")
        writer.string("iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0")
        writer.key("data")
        writer.beginObject()
        writer.key("schema")
        writer.string("iglu:ledger/experiment_viewed/jsonschema/1-0-0")
        writer.key("data")
        writer.columns(of: event)
        writer.endObject()
        writer.endObject()
        return writer.text
    }
}

extension JSONWriter {
    fileprivate mutating func columns(of event: AnalyticsEvent) {
        beginObject()
        key("experiment_id")
        string(event.experiment)
        key("variation_id")
        string(event.variant ?? "")
        key("user_id")
        string(event.unit)
        time("timestamp", event.time)
        endObject()
    }
}
