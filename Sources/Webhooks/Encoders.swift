/// The encoders an endpoint can choose from.
package enum Encoders {
    package static let all: [any EventEncoder.Type] = [
        StandardWebhooksEncoder.self,
        NDJSONEncoder.self,
        CloudEventsEncoder.self,
        CloudEventsBatchEncoder.self,
        ClickHouseEncoder.self,
        SegmentEncoder.self,
        PostHogEncoder.self,
        AmplitudeEncoder.self,
        SnowplowEncoder.self,
    ]

    /// The encoder that an endpoint names; nil where there is none.
    package static func named(_ name: String) -> (any EventEncoder.Type)? {
        all.first { $0.name == name }
    }
}
