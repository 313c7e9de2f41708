import JSON

/// Amplitude's HTTP V2 API: `$exposure` for exposures, `Score Recorded` for scores.
///
/// The endpoint's URL is `https://api2.amplitude.com/2/httpapi`, or `https://api.eu.amplitude.com`
/// with the same path. Amplitude drops an `insert_id` that it saw within 7 days. Without
/// `min_id_length` it would drop users with less than 5 characters.
///
/// A request holds less than 1 MB and less than 2,000 events
/// (amplitude.com/docs/apis/analytics/http-v2, “Upload limit”). It also takes 30 events a second of
/// one user at most, and answers 429 above.
struct AmplitudeEncoder: EventEncoder {
    static let name = "amplitude"
    let limits = BatchLimits(countMax: 1_999, bytesMax: 999_999, eventBytesMax: 999_000)
    let opening: [UInt8]
    let separator = Array(",".utf8)
    let closing = Array("]}".utf8)

    init(_ settings: EncoderSettings) throws(EncoderSettingsError) {
        let key = try settings.requiredAPIKey("that of the project", for: Self.name)
        opening =
            Array(#"{"api_key":"#.utf8) + JSONValue.string(key).encoded
            + Array(#","options":{"min_id_length":1},"events":["#.utf8)
    }

    func carries(_ type: String) -> Bool { AnalyticsEvent.types.contains(type) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent) {
        let event = try AnalyticsEvent(event)
        body.appendJSON { writer in
            writer.beginObject()
            writer.key("insert_id")
            writer.string(event.id.description)
            writer.key("event_type")
            writer.string(Self.eventName(event.kind))
            writer.key("user_id")
            writer.string(event.unit)
            writer.key("time")
            writer.integer(event.time.microseconds / 1_000)
            writer.key("event_properties")
            writer.beginObject()
            writer.flag(of: event)
            writer.properties(of: event)
            writer.endObject()
            writer.endObject()
        }
    }

    private static func eventName(_ kind: AnalyticsEvent.Kind) -> String {
        switch kind {
        case .exposure: "$exposure"
        case .score: "Score Recorded"
        }
    }
}

extension JSONWriter {
    /// The properties that Amplitude Experiment reads.
    fileprivate mutating func flag(of event: AnalyticsEvent) {
        key("flag_key")
        string(event.experiment)
        if let variant = event.variant {
            key("variant")
            string(variant)
        }
    }
}
