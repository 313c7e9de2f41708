import JSON

/// PostHog's capture API: `$feature_flag_called` for exposures, `score recorded` for scores.
///
/// The endpoint's URL is `https://us.i.posthog.com/batch/`, or that of another region or host.
/// Exposures carry `$feature_flag` and `$feature_flag_response`, and all events `$feature/…`, by
/// which PostHog tells variants apart (posthog.com/docs/experiments, “running experiments without
/// feature flags”). It wants the control to be called `control`. Runs are no people, so they make
/// no person profiles.
///
/// The body must be less than 20 MB, of any number of events (posthog.com/docs/api/capture); an
/// event over 1 MiB is refused (github.com/PostHog/posthog-python, pull request 108).
struct PostHogEncoder: EventEncoder {
    static let name = "posthog"
    let limits = BatchLimits(countMax: 10_000, bytesMax: 19_999_999, eventBytesMax: 1_000_000)
    let opening: [UInt8]
    let separator = Array(",".utf8)
    let closing = Array("]}".utf8)

    init(_ settings: EncoderSettings) throws(EncoderSettingsError) {
        let key = try settings.requiredAPIKey("the project's API key, phc_…", for: Self.name)
        opening =
            Array(#"{"api_key":"#.utf8) + JSONValue.string(key).encoded
            + Array(#","batch":["#.utf8)
    }

    func carries(_ type: String) -> Bool { AnalyticsEvent.types.contains(type) }

    func append(_ event: OutgoingEvent, to body: inout [UInt8]) throws(UnreadableEvent) {
        let event = try AnalyticsEvent(event)
        body.appendJSON { writer in
            writer.beginObject()
            writer.key("uuid")
            writer.string(event.id.description)
            writer.key("event")
            writer.string(Self.eventName(event.kind))
            writer.key("distinct_id")
            writer.string(event.unit)
            writer.time("timestamp", event.time)
            writer.key("properties")
            writer.beginObject()
            writer.flag(of: event)
            writer.properties(of: event)
            writer.endObject()
            writer.endObject()
        }
    }

    private static func eventName(_ kind: AnalyticsEvent.Kind) -> String {
        switch kind {
        case .exposure: "$feature_flag_called"
        case .score: "score recorded"
        }
    }
}

extension JSONWriter {
    /// The properties that mean something to PostHog itself.
    fileprivate mutating func flag(of event: AnalyticsEvent) {
        if event.isRun {
            key("$process_person_profile")
            bool(false)
        }
        guard let variant = event.variant else { return }
        if case .exposure = event.kind {
            key("$feature_flag")
            string(event.experiment)
            key("$feature_flag_response")
            string(variant)
        }
        key("$feature/\(event.experiment)" as String)
        string(variant)
    }
}
